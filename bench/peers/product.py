"""Products [m, k]·[n, k]ᵀ in PyTorch (OpenBLAS): operations a second. Given {"threads", "shapes", "seconds", "least"}."""

import torch
from common import answer, arguments, median_ms

given = arguments()
rates = []
for m, n, k in given["shapes"]:
    a, b, c = torch.randn(m, k), torch.randn(n, k), torch.empty(m, n)
    ms = median_ms(lambda: torch.mm(a, b.T, out=c), given["seconds"], given["least"])
    rates.append(2 * m * n * k / ms * 1000)
answer(rates=rates, version=torch.__version__)
