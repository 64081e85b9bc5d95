"""Momentum SGD with noise on all chains at once in PyTorch, and the images at the end.

Given {"threads", "generator", "encoder", "inputs", "results", "steps", "verify", "learningRate", "momentum", "clip",
"noise", "seconds", "least"}: `inputs` holds z [n, d] and c [n, m]. Latents after `verify` steps without noise are left in
`results`; `steps` steps with noise are timed.
"""

import torch
from common import answer, arguments, load_safetensors, median_ms, save_safetensors
from pipelines import Energy, slope

given = arguments()
inputs = load_safetensors(given["inputs"])
module = Energy(given["generator"], given["encoder"], 0)


def sample(steps, noise):
    z, c, momentum = inputs["z"].clone(), inputs["c"], None
    for _ in range(steps):
        _, g = slope(module, z, c)
        g = g * (given["clip"] / g.norm(dim=1, keepdim=True)).clamp(max=1)
        momentum = g if momentum is None else given["momentum"] * momentum + g
        z = z - given["learningRate"] * momentum
        if noise:
            z = z + noise * torch.randn_like(z)
    return z


def run():
    with torch.no_grad():
        z = sample(given["steps"], given["noise"])
        return module.images(z)


save_safetensors({"z": sample(given["verify"], 0)}, given["results"])
answer(median=median_ms(run, given["seconds"], given["least"]))
