"""Writes the embedded network as ONNX: export.py SIDE OUTPUT"""

import io
import json
import pathlib
import re
import struct
import sys

import onnxruntime
import torch
from safetensors.torch import load

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/reference"))
import dinov2  # noqa: E402
import resize  # noqa: E402
import dino_ir  # noqa: E402


def network(path):
    """The network of a weights file."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(json.loads(data[8:8 + length])["__metadata__"]["dino_ir"])
    restormer, guidance = header["config"]["restormer"], header["config"]["guidance"]
    backbone = guidance["backbone"]
    # The reference knows Meta's grid only, and ONNX no scale factors: the same resize as two matrices.
    dinov2.GRID = resize.GRID = backbone["grid"]
    dinov2.position_resize = position_resize
    dino_ir.dino_resize = dino_resize
    model = dino_ir.DinoIr(
        restormer=options(restormer),
        backbone=dict(
            dim=backbone["width"],
            depth=backbone["depth"],
            heads=backbone["heads"],
            registers=backbone["registers"],
            swiglu=backbone["swiglu"],
        ),
        blocks=guidance["depths"],
        hidden=guidance["gate_hidden"],
        fused=guidance["fused"],
        stages=guidance["stages"],
        pixel_mean=guidance["pixel_mean"],
    )
    # The heads are no part of the network.
    stored = {
        renamed(name): value.float()
        for name, value in load(data).items()
        if name.split(".")[0] in ("restormer", "guidance")
    }
    own = dict(model.named())
    assert own.keys() == stored.keys(), sorted(own.keys() ^ stored.keys())
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(stored[name])
    return model.eval()


def position_resize(grid, rows, columns, registers):
    """The reference's, as products with constants."""
    down, across = (resize.position_matrix(int(count), registers).float() for count in (rows, columns))
    return down @ grid @ across.T


def dino_resize(image):
    """The reference's, likewise."""
    sides = [int(side) for side in image.shape[2:]]
    down, across = (resize.bilinear_matrix(resize.dino_side(side), side, True).float() for side in sides)
    return down @ image @ across.T


def renamed(name):
    """The reference's name of a parameter."""
    name = re.sub(r"^(restormer\.(?:down|up)\.\d)\.conv", r"\1", name.removeprefix("guidance."))
    return name.replace("gate.fc1", "gate.0").replace("gate.fc2", "gate.1")


def options(restormer):
    """The reference's names for the options of a weights file."""
    return {name: value for name, value in restormer.items() if name != "norm"} | {
        "bias": restormer["norm"] == "with_bias"
    }


def main():
    side, output = int(sys.argv[1]), sys.argv[2]
    model = network(ROOT / "core/weights/nano.safetensors")
    traced = io.BytesIO()
    torch.onnx.export(
        model,
        (torch.rand(1, 3, side, side),),  # the shape becomes fixed
        traced,
        input_names=["image"],
        output_names=["restored"],
        opset_version=17,
        dynamo=False,
    )
    # How the constants of the resizes are made was traced too: folded here, or the browser would have to.
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    settings.optimized_model_filepath = output
    onnxruntime.InferenceSession(traced.getvalue(), settings, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
