"""Momentum SGD with noise on all chains at once in PyTorch, and the images at the end.

Given {"threads", "generator", "encoder", "inputs", "results", "steps", "verify", "learningRate", "momentum", "clip",
"noise", "seconds", "least"}: `inputs` holds z [n, d] and c [n, m]. Latents after `verify` steps without noise are left in
`results`. The answer is `steps` times the median of steps with noise, and the images at the end: all steps together would
take minutes.
"""

import torch
from common import answer, arguments, load_safetensors, median_ms, save_safetensors
from pipelines import Energy, slope

given = arguments()
inputs = load_safetensors(given["inputs"])
module = Energy(given["generator"], given["encoder"], 0)


def step(z, momentum, noise):
    _, g = slope(module, z, inputs["c"])
    g = g * (given["clip"] / g.norm(dim=1, keepdim=True)).clamp(max=1)
    momentum = g if momentum is None else given["momentum"] * momentum + g
    z = z - given["learningRate"] * momentum
    return (z + noise * torch.randn_like(z) if noise else z), momentum


@torch.no_grad()
def images():
    return module.images(inputs["z"])


z, momentum = inputs["z"].clone(), None
for _ in range(given["verify"]):
    z, momentum = step(z, momentum, 0)
save_safetensors({"z": z}, given["results"])
one = median_ms(lambda: step(z, momentum, given["noise"]), given["seconds"], given["least"])
answer(median=given["steps"] * one + median_ms(images, given["seconds"], given["least"]))
