"""Writes the networks and their stages as ONNX files beside a list of them; what is there stays."""

import json
import sys
from pathlib import Path

import torch

import network


def export(module, shapes, path):
    """One file; its inputs are x0, x1, ..."""
    if path.exists():
        return
    partial = path.with_suffix(".partial")
    inputs = tuple(torch.rand(1, *shape) for shape in shapes)
    names = [f"x{i}" for i in range(len(inputs))]
    with torch.no_grad():
        # Once as it is: constants that it keeps are made now.
        module.eval()(*inputs)
        torch.onnx.export(
            module, inputs, str(partial), opset_version=18, dynamo=True, input_names=names, external_data=False,
            verbose=False,
        )
    partial.rename(path)


def main():
    weights, folder, kind, size = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    folder.mkdir(parents=True, exist_ok=True)
    listed = folder / "list.json"
    if listed.exists():
        return
    net, config = network.load(weights)
    if kind == "backbone":
        wanted = [("whole", network.Backbone(net), [[3, size, size]])]
    else:
        wanted = [("whole", net, [[3, size, size]]), *network.stages(net, config, size)]
    files = []
    for name, module, shapes in wanted:
        path = folder / f"{name.replace(' ', '-').replace('+', 'and')}.onnx"
        export(module, shapes, path)
        files.append({"name": name, "file": path.name, "shapes": shapes})
    listed.write_text(json.dumps(files))


main()
