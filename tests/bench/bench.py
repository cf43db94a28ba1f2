"""Ours beside ONNX Runtime and PyTorch, in turns, medians of rounds. Called by `run`."""

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROWS = ("nano-512", "full-512", "vit-s-518", "train-nano")


def python(script, *arguments):
    """Runs one of the scripts beside this one; returns the JSON that it prints."""
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{script} failed:\n{done.stderr}")
    lines = done.stdout.strip().splitlines()
    return json.loads(lines[-1]) if lines and lines[-1][0] in "[{" else None


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def prepare(work, nano):
    """Weights and ONNX files, by what they are made of."""
    sources = [nano, HERE / "network.py", HERE / "export.py", *sorted((HERE.parent / "reference").glob("*.py"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    folder = work / digest
    folder.mkdir(parents=True, exist_ok=True)
    made = "import sys; sys.path.insert(0, sys.argv[1]); import network; from pathlib import Path; f = Path(sys.argv[2]); "
    if not (folder / "small.safetensors").exists():
        made += (
            "network.write_random(f / 'full.safetensors', network.FULL); "
            "network.write_backbone(f / 'small.safetensors', f / 'full.safetensors', network.FULL)"
        )
        subprocess.run([sys.executable, "-c", made, str(HERE), str(folder)], check=True)
    full = folder / "full.safetensors"
    return {
        "nano-512": (nano, nano, folder / "nano", "net", 512),
        "full-512": (full, full, folder / "full", "net", 512),
        # Ours takes the backbone's own file, the others the whole network's.
        "vit-s-518": (folder / "small.safetensors", full, folder / "small", "backbone", 518),
    }


class Bench:
    def __init__(self, options):
        self.options = options
        self.gemm = []

    def ours(self, *arguments):
        threads = self.options.threads
        command = [self.options.trainer, "bench", "--json", "--device", "cpu", "--threads", threads, *arguments]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
        report = json.loads(done.stdout)
        self.gemm.append(report["gemm_gflops"])
        return report

    def inference(self, name, weights, theirs, models, kind, size):
        python("export.py", theirs, models, kind, size)
        files = json.loads((models / "list.json").read_text())
        threads, runs = self.options.threads, self.options.runs
        arguments = [[models / entry["file"], json.dumps(entry["shapes"])] for entry in files]
        what = "backbone" if kind == "backbone" else "infer"
        ours, ort, torch, ort_stages = [], [], [], []
        for round in range(self.options.rounds):
            ours.append(self.ours("--weights", weights, "--size", f"{size}x{size}", "--runs", runs, "--train", 0))
            ort += python("run_onnx.py", threads, runs, *arguments[0])
            torch.append(python("run_torch.py", threads, runs, what, theirs, size, "fp32"))
            if len(arguments) > 1 and self.options.stages:
                ort_stages.append(python("run_onnx.py", threads, runs, *sum(arguments[1:], [])))
        yield row(
            name,
            median(report["image_ms"] for report in ours),
            median(entry["ms"] for entry in ort),
            median(entry["ms"] for entry in torch),
            gflops=median(report["image_gflops"] for report in ours),
            ours_bytes=max(report["peak_bytes"] for report in ours),
            ort_bytes=max(entry["bytes"] for entry in ort),
            torch_bytes=max(entry["bytes"] for entry in torch),
        )
        if not ort_stages:
            return
        for index, entry in enumerate(files[1:]):
            reports = [stage for report in ours for stage in report["stages"] if stage["name"] == entry["name"]]
            # The resize to patches is a stage of its own in ours.
            extra = 0.0
            if entry["name"] == "dinov2 + psf":
                extra = median(s["ms"] for report in ours for s in report["stages"] if s["name"] == "resize")
            yield row(
                f"{name} {entry['name']}",
                median(stage["ms"] for stage in reports) + extra,
                median(stages[index]["ms"] for stages in ort_stages),
                None,
                gflops=median(stage["gflops"] for stage in reports),
            )

    def training(self, nano):
        threads = self.options.threads
        ours, torch, mixed = [], [], []
        for _ in range(self.options.rounds):
            ours.append(self.ours("--size", "64x64", "--runs", 1, "--train", 3, "--weights", nano))
            torch.append(python("run_torch.py", threads, 3, "train", nano, 128, "fp32"))
            mixed.append(python("run_torch.py", threads, 3, "train", nano, 128, "bf16"))
        ours = [report["train"][0] for report in ours]
        ours_ms = median(entry["ms"] for entry in ours)
        bf16_ms = median(entry["ms"] for entry in mixed)
        yield row(
            "train-nano", ours_ms, None, median(entry["ms"] for entry in torch), gflops=None, torch_bf16_ms=bf16_ms,
            ratio_torch_bf16=bf16_ms / ours_ms, ours_bytes=max(entry["peak_bytes"] for entry in ours),
            torch_bytes=max(entry["bytes"] for entry in torch),
        )


def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def row(name, ours, ort, torch, **more):
    return {
        "name": name, "ours_ms": ours, "ort_ms": ort, "torch_ms": torch, "ratio_ort": ort and ort / ours,
        "ratio_torch": torch and torch / ours, **more,
    }


def show(entry):
    def cell(value, form):
        return format(value, form) if value is not None else "-".rjust(int(form.split(".")[0]))

    def mebibytes(key):
        value = entry.get(key)
        return cell(value and value / 2**20, "8.0f")

    print(
        f"{entry['name']:<24}", cell(entry["ours_ms"], "10.2f"), cell(entry["ort_ms"], "10.2f"),
        cell(entry["torch_ms"], "10.2f"), cell(entry["ratio_ort"], "9.2f"), cell(entry["ratio_torch"], "9.2f"),
        cell(entry["gflops"], "9.1f"), mebibytes("ours_bytes"), mebibytes("ort_bytes"), mebibytes("torch_bytes"),
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__)
    parser.add_argument("--trainer", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--work", required=True, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--caller", default=".", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side")
    parser.add_argument("--runs", type=int, default=3, help="runs in a turn, after one that warms up")
    parser.add_argument("--rows", default=",".join(ROWS), help="which of them")
    parser.add_argument("--no-stages", dest="stages", action="store_false", help="whole networks only")
    options = parser.parse_args()
    if options.json:
        options.json = options.caller / options.json
        if not options.json.parent.is_dir():
            parser.error(f"--json {options.json}: there is no folder {options.json.parent}; make it first")
    os.environ["OMP_NUM_THREADS"] = str(options.threads)

    rows = options.rows.split(",")
    nano = HERE.parent.parent / "core/weights/nano.safetensors"
    prepared = prepare(options.work, nano)
    bench = Bench(options)
    torch_gemm = python("run_torch.py", options.threads, 5, "gemm")["gflops"]
    print(
        f"{'ms':<24}", "      ours", "      ort", "     torch", "   x ort", " x torch", "  GFLOP/s", "    MiB", "     ort", "   torch"
    )
    result = []
    for name in rows:
        measured = bench.training(nano) if name == "train-nano" else bench.inference(name, *prepared[name])
        for entry in measured:
            show(entry)
            result.append(entry)
    report = {
        "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()}",
        "threads": options.threads,
        "gemm_gflops": max([torch_gemm, *bench.gemm]),
        "rows": result,
    }
    if options.json:
        partial = options.json.with_suffix(".partial")
        partial.write_text(json.dumps(report, indent=1) + "\n")
        partial.rename(options.json)


if __name__ == "__main__":
    main()
