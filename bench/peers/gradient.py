"""A gradient step in PyTorch: results and their gradient with respect to the input, weights frozen.

Given {"threads", "model" or "generator", "encoder" and "size", "inputs", "results", "seconds", "least"}: names of
pipelines.py; `inputs` holds x, and c for a pipeline with an energy; the values and the gradient are left in `results`.
"""

from common import answer, arguments, load_safetensors, median_ms, save_safetensors
from pipelines import Energy, network, slope

given = arguments()
inputs = load_safetensors(given["inputs"])
if "model" in given:
    module, rest = network(given["model"]), ()
else:
    module, rest = Energy(given["generator"], given["encoder"], given["size"]), (inputs["c"],)
values, gradient = slope(module, inputs["x"], *rest)
save_safetensors({"values": values, "gradient": gradient}, given["results"])
answer(median=median_ms(lambda: slope(module, inputs["x"], *rest), given["seconds"], given["least"]))
