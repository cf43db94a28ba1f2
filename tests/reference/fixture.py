"""Evaluates a case and turns it into one safetensors file."""

import copy
import json
import struct
import zlib

import torch
from safetensors.torch import save
from torch.nn import functional as F


def seed(name):
    """Each case has its own stream, so adding one does not change the others."""
    torch.manual_seed(zlib.crc32(name.encode()))


def named(module):
    """(fixture name, parameter) of a module, which may bring names of its own."""
    if module is None:
        return []
    return list(module.named() if hasattr(module, "named") else module.named_parameters())


def smooth_grid(channels):
    """[1, channels, 37, 37]. White noise alone would vanish in an antialiased resize."""
    coarse = torch.randn(1, channels, 6, 6)
    return F.interpolate(coarse, size=(37, 37), mode="bilinear") + 0.2 * torch.randn(1, channels, 37, 37)


def randomise(module, attention_gain=1.0):
    """Parameters at which a mistake shows: no zero bias, no norm of one, no flat attention map.
    `attention_gain` scales `key` and `query` of the D-R fusion, whose map is nearly flat otherwise."""
    with torch.no_grad():
        for name, value in named(module):
            leaf = name.rsplit(".", 1)[-1]
            if leaf == "temperature":
                value.uniform_(2.0, 4.0)
            elif leaf in ("ls1", "ls2"):
                value.uniform_(0.3, 0.9)
            elif leaf in ("cls_token", "register_tokens"):
                value.normal_(std=0.5)
            elif leaf == "pos_embed":
                value[:, :1].normal_(std=0.5)
                value[:, 1:] = smooth_grid(value.shape[2]).flatten(2).transpose(1, 2)
            elif value.dim() == 1:
                value.normal_(std=0.2)
                if "norm" in name and leaf == "weight" or name == "weight":
                    value.add_(1.0)
            else:
                gain = attention_gain if name.endswith(("key.weight", "query.weight")) else 1.0
                value.normal_(std=gain / value[0].numel() ** 0.5)
    return module


def _evaluate(dtype, module, inputs, compute, grads, cotangent):
    if module is not None:
        module = copy.deepcopy(module).to(dtype)
    inputs = {name: value.to(dtype).requires_grad_() for name, value in inputs.items()}
    results = compute(module, **{name.replace(".", "_"): value for name, value in inputs.items()})
    if grads:
        sources = {**dict(named(module)), **inputs}
        output = results["output"]
        total = output.sum() if cotangent is None else (output * cotangent.to(dtype)).sum()
        values = torch.autograd.grad(total, [sources[name] for name in grads], retain_graph=True)
        results |= {f"grad.{name}": value for name, value in zip(grads, values)}
        if "output_detached" in results:
            total = (results.pop("output_detached") * cotangent.to(dtype)).sum()
            results["grad.input_detached"] = torch.autograd.grad(total, inputs["input"])[0]
    return {name: value.detach() for name, value in results.items()}


def fixture(config, module, inputs, compute, grads=()):
    """The bytes of a case. `compute(module, **inputs)` gives a dictionary; a dot in an input's name
    is an underscore there. `grads` names inputs and parameters, or is "all". Values come from double
    precision; `noise` records how far PyTorch's own single precision is from them."""
    if grads == "all":
        grads = [*inputs, *(name for name, _ in named(module))]
    tensors = {f"param.{name}": value.detach() for name, value in named(module)} | inputs
    cotangent = None
    if grads:
        shape = _evaluate(torch.float32, module, inputs, compute, (), None)["output"].shape
        if len(shape) > 1:  # a loss is its own scalar
            cotangent = torch.randn(shape)
            tensors["cotangent"] = cotangent
    exact = _evaluate(torch.float64, module, inputs, compute, grads, cotangent)
    single = _evaluate(torch.float32, module, inputs, compute, grads, cotangent)
    noise = {name: float(f"{(exact[name] - single[name]).abs().max():.0e}") for name in exact}
    for name, value in exact.items():
        assert value.isfinite().all(), name
        tensors[name] = value.float()
    tensors = {name: value.contiguous().clone() for name, value in tensors.items()}
    return _ordered(save(tensors, {"config": json.dumps(config), "noise": json.dumps(noise)}))


def _ordered(data):
    """The same file with the metadata's keys sorted: the library leaves them in random order."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data[8 + length:]
