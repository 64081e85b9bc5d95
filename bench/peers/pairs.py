"""Pairs (z, softmax of the encoder's logits) in PyTorch, in batches of `batch`.

Given {"threads", "generator", "encoder", "inputs", "results", "batch", "seconds", "least"}: conditions of the latents z
in `inputs` are left in `results`; pairs of new latents are timed.
"""

import torch
from common import answer, arguments, load_safetensors, median_ms, save_safetensors
from pipelines import Energy

given = arguments()
z = load_safetensors(given["inputs"])["z"]
module = Energy(given["generator"], given["encoder"], 0)


@torch.no_grad()
def conditions(z):
    return torch.cat([torch.softmax(module.logits(part), 1) for part in z.split(given["batch"])])


save_safetensors({"c": conditions(z)}, given["results"])
answer(median=median_ms(lambda: conditions(torch.randn_like(z)), given["seconds"], given["least"]))
