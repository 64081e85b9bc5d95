"""A forward pass in PyTorch, and the peak memory of a process that takes gradient steps, weights frozen.

Given {"threads", "model", "seconds", "least"}: a name of pipelines.py.
"""

import resource

import torch
from common import answer, arguments, median_ms
from pipelines import large

given = arguments()
module, case = large(given["model"])
module.requires_grad_(False)
inputs = [torch.randn(case.batch, *dims) for dims in case.inputs.values()]


def step():
    wanted = [x.detach().requires_grad_() for x in inputs]
    output = module(*wanted)
    return torch.autograd.grad(output, wanted, torch.ones_like(output))


def forward():
    with torch.no_grad():
        return module(*inputs)


median_ms(step, 0, given["least"])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
answer(forward=median_ms(forward, given["seconds"], given["least"]), peak=peak)
