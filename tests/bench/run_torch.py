"""Times PyTorch: run_torch.py THREADS RUNS infer|train|gemm WEIGHTS SIZE fp32|bf16. Prints JSON.
Channels last, which is its faster layout."""

import json
import sys
import time
from pathlib import Path

import torch

import network
import resize
from loss import EPS, l1

BATCH, PATCH, BLOCKS = 8, 128, 4


def peak_bytes():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def timed(runs, work):
    work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1e3)
    return sorted(times)[len(times) // 2]


def shallow(backbone, image):
    """Patch features of the first blocks; later ones are not needed."""
    tokens = backbone.tokens(resize.imagenet_normalize(resize.dino_resize(image)))
    features = []
    for block in backbone.vit.blocks[:BLOCKS]:
        tokens = block(tokens)
        features.append(tokens[:, 1 + backbone.registers:])
    return features


def dpc(backbone, restored, clean, degraded):
    with torch.no_grad():
        positive, negative = shallow(backbone, clean), shallow(backbone, degraded)
    near_and_far = zip(shallow(backbone, restored), positive, negative)
    return sum(l1(v, p) / (l1(v, n) + EPS) / BLOCKS for v, p, n in near_and_far)


def training_step(net, mixed):
    net.backbone.requires_grad_(False)
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], 2e-4, foreach=True)
    degraded, clean = (torch.rand(BATCH, 3, PATCH, PATCH).contiguous(memory_format=torch.channels_last) for _ in range(2))

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            restored = net(degraded)
            loss = l1(restored, clean) + dpc(net.backbone, restored, clean, degraded)
        loss.backward()
        optimizer.step()

    return step


def main():
    threads, runs, what = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    torch.set_num_threads(threads)
    if what == "gemm":
        a, b = torch.rand(2048, 2048), torch.rand(2048, 2048)
        print(json.dumps({"gflops": 2 * 2048**3 / timed(runs, lambda: a @ b) / 1e6}))
        return
    weights, size, mixed = Path(sys.argv[4]), int(sys.argv[5]), sys.argv[6] == "bf16"
    net, _ = network.load(weights)
    if what == "backbone":
        net = network.Backbone(net).eval()
    net = net.to(memory_format=torch.channels_last)
    if what == "train":
        ms = timed(runs, training_step(net, mixed))
    else:
        image = torch.rand(1, 3, size, size).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            ms = timed(runs, lambda: net(image))
    print(json.dumps({"ms": ms, "bytes": peak_bytes()}))


main()
