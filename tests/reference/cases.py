"""Every case: name -> function that returns the bytes of its file."""

import torch
from torch.nn import functional as F

import loss
import resize
from block import Block
from channel_layer_norm import ChannelLayerNorm
from dino_ir import DinoIr
from dinov2 import DinoV2
from dr_fusion import DrFusion
from fixture import fixture, randomise, seed, smooth_grid
from gdfn import Gdfn, gated_gelu
from mdta import Mdta, channel_attention
from psf import Psf
from restormer import Restormer
from sampling import Downsample, Upsample

CASES = {}


def case(name, *args):
    """Registers `function(*args)` under `name`, with a stream of random numbers of its own."""

    def register(function):
        def run():
            seed(name)
            return function(*args)

        CASES[name] = run
        return function

    return register


def simple(module, input):
    return {"output": module(input)}


# Operations of the kernels.


@case("depthwise3x3")
def depthwise3x3():
    inputs = {"input": torch.randn(2, 5, 4, 19), "weight": torch.randn(5, 1, 3, 3)}
    return fixture({}, None, inputs, lambda _, input, weight: {"output": F.conv2d(input, weight, padding=1, groups=5)}, "all")


@case("pointwise")
def pointwise():
    inputs = {"input": torch.randn(2, 5, 4, 19), "weight": torch.randn(6, 5, 1, 1)}
    return fixture({}, None, inputs, lambda _, input, weight: {"output": F.conv2d(input, weight)}, "all")


@case("conv3x3")
def conv3x3():
    inputs = {"input": torch.randn(2, 5, 4, 19), "weight": torch.randn(6, 5, 3, 3)}
    return fixture({}, None, inputs, lambda _, input, weight: {"output": F.conv2d(input, weight, padding=1)}, "all")


@case("gated_gelu")
def gate():
    return fixture({}, None, {"input": 2 * torch.randn(2, 10, 4, 19)}, lambda _, input: {"output": gated_gelu(input)}, "all")


@case("channel_attention")
def attention():
    inputs = {"qkv": torch.randn(2, 24, 4, 9), "temperature": torch.rand(2, 1, 1) + 2}
    return fixture(
        {"heads": 2}, None, inputs, lambda _, qkv, temperature: {"output": channel_attention(qkv, temperature)}, "all"
    )


# Restormer and its parts.


@case("channel_layer_norm", True)
@case("channel_layer_norm_bias_free", False)
def norm(bias):
    module = randomise(ChannelLayerNorm(12, bias))
    x = torch.randn(2, 12, 6, 10) + torch.randn(1, 12, 1, 1) + 0.5
    return fixture({"channels": 12, "bias": bias}, module, {"input": x}, simple, "all")


@case("mdta")
def mdta():
    def compute(module, input):
        qkv = module.mixed(input)
        attended = channel_attention(qkv, module.temperature)
        return {"output": module.project_out(attended), "qkv": qkv, "attended": attended}

    return fixture({"channels": 8, "heads": 2}, randomise(Mdta(8, 2)), {"input": torch.randn(2, 8, 4, 19)}, compute, "all")


@case("gdfn")
def gdfn():
    config = {"channels": 8, "expansion": 2.66, "hidden": 21}
    return fixture(config, randomise(Gdfn(8)), {"input": torch.randn(2, 8, 4, 19)}, simple, "all")


@case("restormer_block", True)
@case("restormer_block_bias_free", False)
def block(bias):
    config = {"channels": 8, "heads": 2, "expansion": 2.66, "bias": bias}
    return fixture(config, randomise(Block(8, 2, 2.66, bias)), {"input": torch.randn(2, 8, 4, 19)}, simple, ["input"])


@case("downsample", Downsample)
@case("upsample", Upsample)
def sampling(kind):
    return fixture({"channels": 8}, randomise(kind(8)), {"input": torch.randn(1, 8, 6, 10)}, simple, "all")


# [2, 2, 1, 1] and two refinement blocks: a decoder level that takes another's count shows.
SMALL = dict(dim=4, blocks=[2, 2, 1, 1], heads=[1, 1, 2, 4], refinement=2, expansion=2.66)
# The published heads and norm. Widths are small because fixtures are committed.
PUBLISHED = dict(dim=4, blocks=[1, 1, 1, 1], heads=[1, 2, 4, 8], refinement=1, expansion=2.66, bias=True)


@case("restormer", SMALL | {"bias": False}, 24, 32, [])
@case("restormer_published", PUBLISHED, 16, 40, ["input"])
@case("restormer_unshuffled", PUBLISHED | {"unshuffle": 2}, 32, 48, ["input"])
def restormer(options, height, width, grads):
    module = randomise(Restormer(**options))
    image = torch.rand(1, 3, height, width)
    return fixture({"kind": "restormer", **options}, module, {"input": image}, simple, grads)


# Resizes.


@case("dino_resize", 37, 50, [])  # both sides grow
@case("dino_resize_shrink", 20, 31, ["input"])
@case("dino_resize_ties", 21, 35, [])  # 1.5 and 2.5 patches
@case("dino_resize_tiny", 5, 31, ["input"])  # one side grows, the other shrinks
@case("dino_resize_same", 28, 14, [])
def dino_resize(height, width, grads):
    def compute(_, input):
        resized = resize.dino_resize(input)
        return {
            "resized": resized, "output": resize.imagenet_normalize(resized),
            "matrix.height": matrices[0].to(input), "matrix.width": matrices[1].to(input),
        }

    sides = [resize.dino_side(height), resize.dino_side(width)]
    matrices = [resize.bilinear_matrix(out, side, antialias=True) for out, side in zip(sides, (height, width))]
    image = torch.rand(1, 3, height, width)
    check(resize.dino_resize(image.double()), matrices, image)
    config = {"from": [height, width], "to": sides, "mean": resize.MEAN, "std": resize.STD}
    return fixture(config, None, {"input": image}, compute, grads)


@case("bilinear", (3, 7), (20, 31))
@case("bilinear_single", (1, 2), (5, 8))
@case("bilinear_shrink", (9, 7), (4, 5))
def bilinear(source, target):
    def compute(_, input):
        return {
            "output": resize.bilinear(input, target),
            "matrix.height": matrices[0].to(input), "matrix.width": matrices[1].to(input),
        }

    matrices = [resize.bilinear_matrix(out, side) for out, side in zip(target, source)]
    x = torch.randn(2, 3, *source)
    check(resize.bilinear(x.double(), target), matrices, x)
    return fixture({"from": source, "to": target}, None, {"input": x}, compute, ["input"])


@case("position_plain", False)
@case("position_registers", True)
def position(registers):
    sizes = [(1, 2), (3, 7), (16, 16), (37, 40), (45, 20)]
    sides = sorted({side for size in sizes for side in size})

    def compute(_, input):
        out = {f"matrix.{side}": resize.position_matrix(side, registers).to(input) for side in sides}
        for rows, columns in sizes:
            out[f"output.{rows}x{columns}"] = resize.position_resize(input, rows, columns, registers)
        return out

    grid = smooth_grid(1)
    for rows, columns in sizes:
        matrices = [resize.position_matrix(side, registers) for side in (rows, columns)]
        check(resize.position_resize(grid.double(), rows, columns, registers), matrices, grid)
    return fixture({"grid": resize.GRID, "registers": registers, "sizes": sizes}, None, {"input": grid}, compute)


def check(resized, matrices, x):
    """The matrices say what the operator does."""
    product = torch.einsum("yh,xw,nchw->ncyx", *matrices, x.double())
    assert (product - resized).abs().max() < 1e-5, (product - resized).abs().max()


# DINOv2.


def dino_layers(module, input):
    layers = module.layers(input)
    out = {f"layer.{i}": tokens[0] for i, tokens in enumerate(layers, 1)}
    return out | {"tokens": module.tokens(input)[0], "norm": module.vit.norm(layers[-1])[0]}


@case("dinov2_square", dict(dim=8, depth=3, heads=2), 56, 56)
@case("dinov2_wide", dict(dim=12, depth=3, heads=3), 42, 98)
@case("dinov2_strip", dict(dim=8, depth=3, heads=2), 28, 112)
@case("dinov2_registers", dict(dim=8, depth=3, heads=4, registers=4), 42, 70)
@case("dinov2_swiglu", dict(dim=8, depth=3, heads=2, swiglu=True), 28, 42)
def dinov2(options, height, width):
    module = randomise(DinoV2(**options))
    config = {"kind": "dinov2", "registers": 0, "swiglu": False, "patch": 14, "grid": 37, **options}
    # Unresized, our preparation of tokens must be timm's.
    with torch.no_grad():
        module.vit.pos_embed.copy_(module.pos_embed[:, 1:])
        module.vit.cls_token.add_(module.pos_embed[:, :1])
        full = torch.randn(1, 3, 518, 518)
        theirs = module.vit.forward_features(full)
        module.vit.cls_token.sub_(module.pos_embed[:, :1])
        ours = module.vit.norm(module.layers(full)[-1])
    assert (ours - theirs).abs().max() < 1e-4
    return fixture(config, module, {"input": torch.randn(1, 3, height, width)}, dino_layers)


# What the paper adds.


@case("psf")
def psf():
    module = randomise(Psf(6, 10, 5))
    inputs = {f"input.{i}": torch.randn(2, 6, 3, 5) + i / 2 for i in range(3)}

    def compute(module, input_0, input_1, input_2):
        features = [input_0, input_1, input_2]
        return {"output": module(features), "scores": module.scores(features)}

    return fixture({"dim": 6, "hidden": 10, "fused": 5}, module, inputs, compute, "all")


@case("dr_fusion", (4, 4), (12, 12), True)
@case("dr_fusion_ratio", (3, 7), (8, 18), True)
@case("dr_fusion_literal", (2, 3), (6, 10), False)
def dr_fusion(source, target, pixel_mean):
    module = randomise(DrFusion(5, 8, pixel_mean), 3.0 if pixel_mean else 0.4)
    inputs = {"fused": torch.randn(2, 5, *source), "input": torch.randn(2, 8, *target) + torch.randn(1, 8, 1, 1)}

    def compute(module, fused, input):
        return {"output": module(fused, input), "map": module.map(fused, input)}

    config = {"fused": 5, "channels": 8, "pixel_mean": pixel_mean}
    return fixture(config, module, inputs, compute, "all")


@case("l1")
def l1():
    inputs = {"restored": torch.rand(2, 3, 6, 10), "clean": torch.rand(2, 3, 6, 10)}
    return fixture(
        {}, None, inputs, lambda _, restored, clean: {"output": loss.l1(restored, clean).view(1)}, ["restored"]
    )


@case("dpc")
def dpc():
    options = dict(dim=8, depth=3, heads=2, registers=2)
    module = randomise(DinoV2(**options))
    blocks, weights = [1, 3], [0.7, 0.3]
    clean = torch.rand(2, 3, 23, 33)
    degraded = clean + 0.2 * torch.randn_like(clean)
    restored = clean + 0.1 * torch.randn_like(clean)

    def compute(module, restored, clean, degraded):
        value = loss.dpc(module, blocks, weights, restored, clean, degraded)
        return {"output": value.view(1), "total": (loss.l1(restored, clean) + value).view(1)}

    config = {
        "backbone": {"swiglu": False, "patch": 14, "grid": 37, **options},
        "blocks": blocks, "weights": weights, "eps": loss.EPS, "lambda": 1.0,
    }
    inputs = {"restored": restored, "clean": clean, "degraded": degraded}
    return fixture(config, module, inputs, compute, ["restored"])


@case("dino_ir", dict(dim=4, blocks=[1, 1, 1, 1], heads=[1, 2, 4, 8], refinement=1, expansion=2.66, bias=True))
def dino_ir(restormer):
    backbone = dict(dim=8, depth=3, heads=2, registers=0, swiglu=False)
    options = dict(blocks=[1, 2, 3], hidden=10, fused=6, stages=[1, 2, 3, 4], pixel_mean=True)
    module = randomise(DinoIr(restormer, backbone, **options), 3.0)

    def compute(module, input):
        features = module.features(input)
        fused = module.psf(features)
        return {
            "output": module(input), "output_detached": module(input, detach=True),
            "dino_input": resize.imagenet_normalize(resize.dino_resize(input)),
            **{f"features.{i}": f for i, f in enumerate(features)},
            "scores": module.psf.scores(features), "fused": fused,
        }

    grads = [
        "input",
        "restormer.patch_embed.weight", "restormer.encoder.1.0.norm1.bias", "restormer.latent.0.attn.temperature",
        "restormer.latent.0.attn.qkv_dwconv.weight", "restormer.up.2.weight", "restormer.reduce.1.weight",
        "restormer.decoder.2.0.ffn.dwconv.weight", "restormer.refinement.0.attn.qkv.weight", "restormer.output.weight",
        "psf.gate.0.weight", "psf.gate.1.bias", "psf.experts.0.project_in.weight", "psf.experts.1.dwconv.weight",
        "psf.experts.2.project_out.bias", "dr_fusion.0.adapt.weight", "dr_fusion.1.adapt.bias",
        "dr_fusion.2.key.weight", "dr_fusion.3.query.weight",
    ]
    config = {"kind": "dino-ir", "restormer": restormer, "backbone": backbone, "patch": 14, "grid": 37, **options}
    return fixture(config, module, {"input": torch.rand(1, 3, 24, 40)}, compute, grads)
