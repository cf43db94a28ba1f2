"""Writes each safetensors seed of tests/fuzz/corpus/checkpoint again as PyTorch does.

    "$(tests/reference/venv)" tests/fuzz/archives.py tests/fuzz/corpus/checkpoint
"""

import io
import pathlib
import sys

import safetensors.torch
import torch

for seed in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    if seed.suffix:
        continue
    data = seed.read_bytes()
    file = io.BytesIO()
    tensors = safetensors.torch.load(data[1:])
    torch.save({"params": {"module." + name: tensor for name, tensor in tensors.items()}}, file)
    seed.with_suffix(".pth").write_bytes(data[:1] + file.getvalue())
