"""Times the same network in PyTorch, for `measure`: run_torch.py WEIGHTS DEVICE JOB...
Prints a line of JSON for each job as soon as it is done. A job is

    train:PRECISION:BATCH:PATCH      training steps (L1 loss, fused AdamW), operation by operation
    compiled:PRECISION:BATCH:PATCH   the same, its blocks through torch.compile
    graph:PRECISION:BATCH:PATCH      as compiled, the whole step replayed as a CUDA graph
    infer:PRECISION:HEIGHT:WIDTH     one image

with PRECISION fp32 (matrix products may use TF32) or bf16 (autocast). Channels last, samples on the device."""

import gc
import json
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))

import network  # noqa: E402
from block import Block  # noqa: E402
from loss import l1  # noqa: E402

# Steps that are timed, after those that warm up.
STEPS, WARM_UP = 10, 3


class Side:
    """PyTorch on one device."""

    def __init__(self, weights, device):
        self.weights, self.device = weights, torch.device(device)
        self.gpu = self.device.type == "cuda"
        if self.gpu:
            # What is asked about its memory before its first use is refused.
            torch.cuda.init()
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = True
        torch.set_float32_matmul_precision("high")
        self.nets = {}

    def net(self, compiled):
        """The network; the compiled one is kept, so that what was compiled for it is not compiled again."""
        if compiled not in self.nets:
            net, _ = network.load(self.weights)
            net = net.to(self.device, memory_format=torch.channels_last)
            net.backbone.requires_grad_(False)
            if compiled:
                # A block compiles in seconds and serves all of its shape; the whole net takes minutes.
                allow_many_shapes()
                for module in net.modules():
                    if isinstance(module, Block):
                        module.compile(dynamic=False)
            self.nets[compiled] = net
        return self.nets[compiled]

    def images(self, count, height, width):
        images = torch.rand(count, 3, height, width, device=self.device)
        return images.contiguous(memory_format=torch.channels_last)

    def autocast(self, precision):
        # A graph that is recorded must not keep casts from before.
        return torch.autocast(self.device.type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False)

    def wait(self):
        if self.gpu:
            torch.cuda.synchronize()

    def bytes(self):
        if self.gpu:
            return torch.cuda.max_memory_reserved()
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))

    def fresh(self):
        gc.collect()
        if self.gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def timed(self, work, runs):
        """Milliseconds of one of `runs`; nothing is waited for between them."""
        self.wait()
        start = time.perf_counter()
        for _ in range(runs):
            work()
        self.wait()
        return (time.perf_counter() - start) * 1e3 / runs

    def train(self, kind, precision, count, patch):
        net = self.net(kind != "train").train()
        parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
        recorded = {"capturable": True} if kind == "graph" else {}
        optimizer = torch.optim.AdamW(parameters, 2e-4, weight_decay=1e-4, fused=True, **recorded)
        degraded, clean = self.images(count, patch, patch), self.images(count, patch, patch)

        def step():
            optimizer.zero_grad(set_to_none=True)
            with self.autocast(precision):
                loss = l1(net(degraded), clean)
            loss.backward()
            optimizer.step()
            return loss

        first_ms = self.timed(step, 1)
        if kind == "graph":
            step = self.recorded(step)
        for _ in range(WARM_UP):
            loss = step()
        ms = self.timed(step, STEPS)
        return {"ms": ms, "crops_per_s": count / ms * 1e3, "first_ms": first_ms, "loss": loss.item()}

    def recorded(self, step):
        """The step as a CUDA graph."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            loss = step()

        def replay():
            graph.replay()
            return loss

        return replay

    def infer(self, precision, height, width):
        net, image = self.net(False).eval(), self.images(1, height, width)
        with torch.no_grad(), self.autocast(precision):
            first_ms = self.timed(lambda: net(image), 1)
            runs = max(1, min(STEPS, int(2e4 / first_ms)))
            return {"ms": self.timed(lambda: net(image), runs), "first_ms": first_ms}

    def job(self, name):
        kind, precision, *sizes = name.split(":")
        sizes = [int(size) for size in sizes]
        start = time.perf_counter()
        try:
            self.fresh()
            if kind == "infer":
                found = self.infer(precision, *sizes)
            else:
                found = self.train(kind, precision, *sizes)
            found["bytes"] = self.bytes()
        except Exception as error:  # One job that fails says why, and the next one comes.
            lines = [line for line in str(error).splitlines() if line.strip()]
            found = {"error": f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]}
        return {"job": name, "seconds": time.perf_counter() - start, **found}


def allow_many_shapes():
    """Each width of a block is compiled anew; more than allowed would go on uncompiled, without a word."""
    import torch._dynamo

    config = torch._dynamo.config
    for key, value in (("recompile_limit", 64), ("cache_size_limit", 64), ("fail_on_recompile_limit_hit", True)):
        if hasattr(config, key):
            setattr(config, key, value)


def main():
    side = Side(Path(sys.argv[1]), sys.argv[2])
    for name in sys.argv[3:]:
        print(json.dumps(side.job(name)), flush=True)


main()
