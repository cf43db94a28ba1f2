"""Writes checkpoints under the published names, filled at random, with what the reference
implementations make of photos: spandrel_extra_arches' Restormer, and timm's DINOv2 with tokens
prepared as in Meta's code. Nothing is committed: the files are large, and random anyway.

    published.py restormer|dinov2|baselines|hostile FOLDER
"""

import os
import pathlib
import sys

import numpy as np
import tifffile
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional as F

from dinov2 import DinoV2
from fixture import randomise, seed
from resize import imagenet_normalize


def photo(height, width):
    """Smooth colours with noise in them, 0.15 to 0.85: [3, height, width]."""
    coarse = F.interpolate(torch.rand(1, 3, 5, 7), size=(height, width), mode="bicubic")[0].clamp(0, 1)
    return 0.2 + 0.6 * coarse + 0.1 * (torch.rand(3, height, width) - 0.5)


# Restormer.


def restormer(folder, name, norm, sizes, write):
    from spandrel_extra_arches.architectures.Restormer import Restormer

    seed(name)
    net = Restormer(LayerNorm_type=norm)
    return restorer(folder, name, net, net.output, sizes, write)


def restorer(folder, name, net, last, sizes, write):
    """`last` is the last convolution; `write(state)` saves the checkpoint. Photos and results are 16
    bit, so that rounding stays far below the tolerance."""
    net = randomise(net).eval()
    with torch.no_grad():
        # As large as a restoration's changes are, and no larger than the photo leaves room for.
        sample = photo(64, 64)[None]
        factor = 0.04 / (net(sample) - sample).std()
        for value in last.parameters():
            value.mul_(factor)
        state = write(net.state_dict())
        net.load_state_dict(state)
        results = {}
        for width, height in sizes:
            pixels = (photo(height, width) * 65535).round()
            path = folder / f"{name}-{width}x{height}.tif"
            tifffile.imwrite(path, pixels.permute(1, 2, 0).numpy().astype(np.uint16), photometric="rgb")
            image = (pixels / 65535)[None]
            # Its own test script pads like this to multiples of 8.
            padded = F.pad(image, (0, -width % 8, 0, -height % 8), mode="reflect")
            output = net(padded)[..., :height, :width]
            assert (output - image).std() > 0.01 and ((output > 0) & (output < 1)).float().mean() > 0.99
            results[f"{width}x{height}"] = output[0].clamp(0, 1).contiguous()
    save_file(results, folder / f"{name}.expected.safetensors")
    return sum(p.numel() for p in net.parameters())


def write_restormer(folder):
    def nested(state):
        torch.save({"params": state}, folder / "with-bias.pth")
        return state

    def bare(state):
        state = {name: value.half() for name, value in state.items()}
        save_file(state, folder / "bias-free.safetensors")
        return {name: value.float() for name, value in state.items()}

    count = restormer(folder, "with-bias", "WithBias", [(128, 128), (97, 131), (320, 200)], nested)
    assert round(count / 1e4) == 2613, count
    restormer(folder, "bias-free", "BiasFree", [(97, 131)], bare)


# Baselines.


def write_baselines(folder):
    from spandrel.architectures.DnCNN import DnCNN
    from spandrel.architectures.NAFNet import NAFNet

    def save(name):
        def write(state):
            torch.save({"params": state}, folder / f"{name}.pth")
            return state

        return write

    seed("dncnn")
    net = DnCNN(in_nc=3, out_nc=3, nc=16, nb=6, act_mode="R")
    restorer(folder, "dncnn", net, net.model[-1], [(64, 48)], save("dncnn"))
    seed("nafnet")
    net = NAFNet(width=16, enc_blk_nums=[1, 2], middle_blk_num=2, dec_blk_nums=[2, 1])
    # It pads with zeros to multiples of 4, where ours reflects.
    restorer(folder, "nafnet", net, net.ending, [(80, 48)], save("nafnet"))


# DINOv2.


def meta_name(name):
    """Meta's name of a parameter of timm's model."""
    name = name.removeprefix("vit.").replace("reg_token", "register_tokens")
    if "mlp.fc" in name and meta_name.swiglu:
        name = name.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3")
    return name


def dinov2(folder, name, options, sizes, layers):
    seed(name)
    net = randomise(DinoV2(**options)).eval()
    meta_name.swiglu = net.swiglu
    parameters = dict(net.named_parameters())
    del parameters["vit.pos_embed"]
    state = {meta_name(key): value.detach() for key, value in parameters.items()}
    state["mask_token"] = torch.zeros(1, options["dim"])
    torch.save(state, folder / f"{name}.pth")
    with torch.no_grad():
        if name.startswith("small"):
            against_timm(net, options)
        results = {}
        for width, height in sizes:
            pixels = (photo(height, width) * 255).round()
            path = folder / f"{name}-{width}x{height}.png"
            Image.fromarray(pixels.permute(1, 2, 0).numpy().astype(np.uint8)).save(path)
            found = net.layers(imagenet_normalize((pixels / 255)[None]))
            for layer in layers:
                results[f"{width}x{height}.layer.{layer}"] = found[layer - 1][0].contiguous()
            results[f"{width}x{height}.norm"] = net.vit.norm(found[-1])[0].contiguous()
    save_file(results, folder / f"{name}.expected.safetensors")


def against_timm(net, options):
    """timm's own model of that name computes the same where no position is resized."""
    registers = options.get("registers", 0)
    theirs = timm.create_model("vit_small_patch14_reg4_dinov2" if registers else "vit_small_patch14_dinov2").eval()
    state = {key.removeprefix("vit."): value for key, value in net.state_dict().items() if key.startswith("vit.")}
    state["pos_embed"], state["cls_token"] = net.pos_embed, net.vit.cls_token
    if registers:
        # There the class token's position is part of the token.
        state["pos_embed"], state["cls_token"] = net.pos_embed[:, 1:], net.vit.cls_token + net.pos_embed[:, :1]
    theirs.load_state_dict(state)
    image = torch.randn(1, 3, 518, 518)
    ours = net.vit.norm(net.layers(image)[-1])
    assert (ours - theirs.forward_features(image)).abs().max() < 1e-4 * ours.abs().max()


def write_dinov2(folder):
    sizes = [(224, 224), (154, 266), (518, 518), (448, 112)]
    small = dict(dim=384, depth=12, heads=6)
    dinov2(folder, "small", small, sizes, [4, 8, 12])
    dinov2(folder, "small-reg4", small | {"registers": 4}, sizes, [4, 8, 12])
    # The other widths at a depth that a test can afford.
    one = [(154, 266)]
    dinov2(folder, "base", dict(dim=768, depth=2, heads=12), one, [1, 2])
    dinov2(folder, "large-reg4", dict(dim=1024, depth=2, heads=16, registers=4), one, [1, 2])
    dinov2(folder, "giant", dict(dim=1536, depth=2, heads=24, swiglu=True), one, [1, 2])


# Files that mean harm, written by PyTorch itself.


class Worm:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch '{self.mark}'",)


def write_hostile(folder):
    state = {"patch_embed.proj.weight": torch.zeros(48, 3, 3, 3)}
    torch.save(state | {"worm": Worm(folder / "it-ran")}, folder / "worm.pth")
    torch.save(state, folder / "old.pth", _use_new_zipfile_serialization=False)
    torch.save({"patch_embed.proj.weight": torch.zeros(1).expand(1 << 40, 3, 3, 3)}, folder / "huge.pth")
    torch.save({name: value.long() for name, value in state.items()}, folder / "integers.pth")
    torch.save(torch.zeros(3), folder / "tensor.pth")
    torch.save({}, folder / "empty.pth")
    cycle = {}
    cycle["params"] = cycle
    torch.save(cycle, folder / "cycle.pth")
    torch.save(state, folder / "missing.pth")
    whole = (folder / "missing.pth").read_bytes()
    (folder / "cut.pth").write_bytes(whole[: len(whole) // 2])
    (folder / "text.pth").write_text("no checkpoint")


if __name__ == "__main__":
    torch.set_num_threads(2)
    write = {"restormer": write_restormer, "dinov2": write_dinov2, "baselines": write_baselines, "hostile": write_hostile}
    write[sys.argv[1]](pathlib.Path(sys.argv[2]))
