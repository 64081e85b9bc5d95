"""PyTorch's part of bench/differentiate.ts.

    python3 bench/differentiate.py export FOLDER            NAME.onnx of every model
    python3 bench/differentiate.py time NAME THREADS RUNS   milliseconds of forward and gradient step, as JSON

Weights are frozen and gradients are those of the inputs, by autograd: what a sampler needs.
"""

import json
import os
import resource
import sys
import time

import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../scripts/fixtures/architectures"))

from case import export  # noqa: E402
from wide import CASES  # noqa: E402


def build(case):
    torch.manual_seed(0)
    module = case.build().eval().requires_grad_(False)
    return module, [torch.randn(case.batch, *dims) for dims in case.inputs.values()]


def forward(module, inputs):
    with torch.no_grad():
        return module(*inputs)


def step(module, inputs):
    given = [x.detach().requires_grad_() for x in inputs]
    output = module(*given)
    return torch.autograd.grad(output, given, torch.ones_like(output))


def milliseconds(function, module, inputs, runs):
    for _ in range(2):
        function(module, inputs)
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function(module, inputs)
        times.append((time.perf_counter() - start) * 1000)
    return times


if __name__ == "__main__":
    if sys.argv[1] == "export":
        for case in CASES:
            path = os.path.join(sys.argv[2], f"{case.name}.onnx")
            if not os.path.exists(path):
                export(case, *build(case), path)
    else:
        name, threads, runs = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
        torch.set_num_threads(threads)
        module, inputs = build(next(case for case in CASES if case.name == name))
        result = {
            "step": milliseconds(step, module, inputs, runs),
            "forward": milliseconds(forward, module, inputs, runs),
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        print(json.dumps(result))
