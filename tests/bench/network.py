"""The reference network in the form that ONNX Runtime and PyTorch run fastest: the same values, but
products instead of einsum, the library's own layer norm, and D-R fusion on the small grid."""

import json
import math
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "reference"))

import channel_layer_norm  # noqa: E402
import dinov2  # noqa: E402
import dr_fusion  # noqa: E402
import mdta  # noqa: E402
import resize  # noqa: E402
from dino_ir import DinoIr  # noqa: E402

HEADER = "dino_ir"

SMALL = {"width": 384, "depth": 12, "heads": 6, "registers": 0, "swiglu": False, "grid": 37}

FULL = {
    "restormer": {
        "dim": 48, "blocks": [4, 6, 6, 8], "heads": [1, 2, 4, 8], "refinement": 4, "expansion": 2.66, "norm": "with_bias",
    },
    "guidance": {
        "backbone": SMALL, "depths": [4, 8, 12], "fused": 384, "gate_hidden": 384, "stages": [1, 2, 3, 4], "pixel_mean": True,
    },
}


def layer_norm(self, x):
    """Over channels; only the kind with bias has an operator of its own."""
    if self.bias is None:
        return plain_norm(self, x)
    x = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, channel_layer_norm.EPS)
    return x.permute(0, 3, 1, 2)


def channel_attention(qkv, temperature):
    n, c3, h, w = qkv.shape
    heads = temperature.shape[0]
    q, k, v = (t.reshape(n, heads, c3 // 3 // heads, h * w) for t in qkv.chunk(3, dim=1))
    q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
    attention = torch.softmax(q @ k.transpose(-2, -1) * temperature, dim=-1)
    return (attention @ v).reshape(n, c3 // 3, h, w)


MATRICES = {}


def shrink_matrix(out, source, device):
    """The bilinear resize of one axis; made once, outside of what is exported."""
    if (out, source, device) not in MATRICES:
        MATRICES[out, source, device] = resize.bilinear_matrix(out, source).float().to(device)
    return MATRICES[out, source, device]


def fusion_map(self, fused, x):
    n, c, h, w = x.shape
    rows, columns = (shrink_matrix(*sides, x.device) for sides in ((h, fused.shape[2]), (w, fused.shape[3])))
    query = self.query(rows.T @ (x @ columns)).flatten(2)
    key = self.key(self.adapt(fused)).flatten(2)
    scale = math.sqrt(c) * (h * w if self.pixel_mean else 1)
    return torch.softmax(key @ query.transpose(1, 2) / scale, dim=-1)


def fusion(self, fused, x):
    n, c, h, w = x.shape
    return (self.map(fused, x) @ x.flatten(2)).reshape(n, c, h, w) + x


def dino_resize(image):
    """Enlarging needs no antialiasing, which ONNX export does not know."""
    size = [resize.dino_side(side) for side in image.shape[-2:]]
    if list(image.shape[-2:]) == size:
        return image
    shrinks = any(new < old for new, old in zip(size, image.shape[-2:]))
    return F.interpolate(image, size=size, mode="bilinear", antialias=shrinks, align_corners=False)


COLOURS = {}


def imagenet_normalize(image):
    """With constants that are on the device: copying them there would wait for it."""
    if image.device not in COLOURS:
        COLOURS[image.device] = [torch.tensor(x, device=image.device).view(1, 3, 1, 1) for x in (resize.MEAN, resize.STD)]
    mean, std = COLOURS[image.device]
    return (image - mean) / std


plain_norm = channel_layer_norm.ChannelLayerNorm.forward
channel_layer_norm.ChannelLayerNorm.forward = layer_norm
mdta.channel_attention = channel_attention
dr_fusion.DrFusion.map = fusion_map
dr_fusion.DrFusion.forward = fusion
for module in (resize, sys.modules["dino_ir"]):
    module.dino_resize, module.imagenet_normalize = dino_resize, imagenet_normalize


def build(config):
    """An untrained network."""
    guidance, restormer = config["guidance"], config["restormer"]
    backbone = guidance["backbone"]
    # The reference knows the published grid only.
    dinov2.GRID = resize.GRID = backbone["grid"]
    return DinoIr(
        restormer={
            "dim": restormer["dim"], "blocks": restormer["blocks"], "heads": restormer["heads"],
            "refinement": restormer["refinement"], "expansion": restormer["expansion"],
            "bias": restormer["norm"] == "with_bias",
        },
        backbone={
            "dim": backbone["width"], "depth": backbone["depth"], "heads": backbone["heads"],
            "registers": backbone["registers"], "swiglu": backbone["swiglu"],
        },
        blocks=guidance["depths"], hidden=guidance["gate_hidden"], fused=guidance["fused"], stages=guidance["stages"],
        pixel_mean=guidance["pixel_mean"],
    )


def our_name(theirs):
    """As the weights file calls a parameter."""
    if theirs.startswith(("backbone.", "psf.", "dr_fusion.")):
        theirs = "guidance." + theirs
    parts = theirs.replace("gate.0", "gate.fc1").replace("gate.1", "gate.fc2").split(".")
    if len(parts) > 2 and parts[-3] in ("down", "up"):
        parts.insert(-1, "conv")
    return ".".join(parts)


def header(kind, config):
    return {HEADER: json.dumps({"format": 1, "kind": kind, "config": config})}


def load(path):
    """The network of a weights file."""
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()[HEADER])["config"]
        net = build(config)
        with torch.no_grad():
            for name, parameter in net.named():
                parameter.copy_(file.get_tensor(our_name(name)).float())
    return net.eval(), config


def write_random(path, config):
    """Random weights; residual branches small, so that values stay in range through the depth."""
    torch.manual_seed(0)
    tensors = {}
    with torch.no_grad():
        for name, parameter in build(config).named():
            if name.endswith(("ls1", "ls2")):
                parameter.fill_(0.1)
            elif "pos_embed" in name or "cls_token" in name:
                parameter.normal_(std=0.02)
            elif "project_out" in name or name.endswith("output.weight"):
                parameter.mul_(0.2)
            tensors[our_name(name)] = parameter.contiguous()
    save_file(tensors, path, header("dino-ir", config))


def write_backbone(path, whole, config):
    """The backbone of a weights file by itself."""
    prefix = "guidance.backbone."
    with safe_open(whole, "pt") as file:
        names = [name for name in file.keys() if name.startswith(prefix)]
        tensors = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    save_file(tensors, path, header("dinov2", config["guidance"]["backbone"]))


class Backbone(nn.Module):
    """Patch features of the last block from an image in 0..1."""

    def __init__(self, net):
        super().__init__()
        self.backbone = net.backbone

    def forward(self, image):
        tokens = self.backbone.tokens(resize.imagenet_normalize(image))
        for block in self.backbone.vit.blocks:
            tokens = block(tokens)
        return tokens[:, 1 + self.backbone.registers:]


class Fused(nn.Module):
    """The fused features of the backbone."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image):
        return self.net.psf(self.net.features(image))


class Joined(nn.Module):
    """A layer with a skip connection before or after it."""

    def __init__(self, layer, join_first):
        super().__init__()
        self.layer, self.join_first = layer, join_first

    def forward(self, x, skip):
        if self.join_first:
            return self.layer(torch.cat([x, skip], dim=1))
        return torch.cat([self.layer(x), skip], dim=1)


class Added(nn.Module):
    """The last layer and the image."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, image):
        return self.layer(x) + image


def stages(net, config, size):
    """(name, module, shapes of inputs) of each part, with the names of `trainer bench`."""
    dim, restormer = config["restormer"]["dim"], net.restormer
    width = [dim, 2 * dim, 4 * dim, 8 * dim]
    side = [size >> level for level in range(4)]
    grid = resize.dino_side(size) // resize.PATCH
    fused = [config["guidance"]["fused"], grid, grid]

    def at(level, channels=None):
        return [channels or width[level], side[level], side[level]]

    yield "dinov2 + psf", Fused(net), [[3, size, size]]
    yield "patch embed", restormer.patch_embed, [[3, size, size]]
    for level in range(3):
        yield f"encoder {level + 1}", restormer.encoder[level], [at(level)]
        yield f"down {level + 1}", restormer.down[level], [at(level)]
    yield "latent", restormer.latent, [at(3)]
    for index, stage in enumerate(net.stages):
        yield f"dr fusion {stage}", net.dr_fusion[index], [fused, at(stage - 1)]
    for index, level in enumerate((2, 1, 0)):
        up = restormer.up[index]
        if level == 0:
            yield "up 1", Joined(up, False), [at(1), at(0)]
            yield "decoder 1", restormer.decoder[index], [at(0, 2 * dim)]
            continue
        yield f"up {level + 1}", up, [at(level + 1)]
        yield f"reduce {level + 1}", Joined(restormer.reduce[index], True), [at(level), at(level)]
        yield f"decoder {level + 1}", restormer.decoder[index], [at(level)]
    yield "refinement", restormer.refinement, [at(0, 2 * dim)]
    yield "output", Added(restormer.output), [at(0, 2 * dim), [3, size, size]]
