"""Times ONNX files in ONNX Runtime: run_onnx.py THREADS RUNS FILE SHAPES [FILE SHAPES]... Prints JSON."""

import json
import sys
import time

import numpy
import onnxruntime


def peak_bytes():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def main():
    threads, runs = int(sys.argv[1]), int(sys.argv[2])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    found = []
    for path, shapes in zip(sys.argv[3::2], sys.argv[4::2]):
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        random = numpy.random.default_rng(0)
        names = [entry.name for entry in session.get_inputs()]
        inputs = {name: random.random((1, *shape), numpy.float32) for name, shape in zip(names, json.loads(shapes))}
        session.run(None, inputs)
        times = []
        for _ in range(runs):
            start = time.perf_counter()
            session.run(None, inputs)
            times.append((time.perf_counter() - start) * 1e3)
        found.append({"ms": sorted(times)[len(times) // 2], "bytes": peak_bytes()})
        del session
    print(json.dumps(found))


main()
