"""Hold TorchScript to the eager networks, and write references for check.mjs.

check.py --weights DIR [--models models]: for batches of 1, 7 and 64, fails where the outputs differ
by more than 1e-5; writes inputs and eager outputs as raw float32 to DIR/reference.
"""
import argparse
import json
import os

import torch

from export import MODELS, load

BATCHES = (1, 7, 64)
TOLERANCE = 1e-5


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--models", default="models")
    args = parser.parse_args()
    folder = os.path.join(args.weights, "reference")
    os.makedirs(folder, exist_ok=True)
    cases = []
    for name, (_, _, source, row, target) in MODELS.items():
        eager = load(name, args.weights)
        script = torch.jit.load(os.path.join(args.models, name + ".pt"))
        for batch in BATCHES:
            x = torch.randn(batch, *row, generator=torch.Generator().manual_seed(batch))
            y = eager(x)
            worst = float((script(x) - y).abs().max())
            print(f"{name} TorchScript, batch {batch}: largest difference {worst:.2e}")
            if not worst <= TOLERANCE:
                raise SystemExit(f"{name}: TorchScript differs from the eager network")
            for label, tensor in (("in", x), ("out", y)):
                tensor.contiguous().numpy().tofile(os.path.join(folder, f"{name}-{batch}.{label}"))
            cases.append({"model": name, "batch": batch, "input": source, "row": list(row), "output": target,
                          "tolerance": TOLERANCE})
    with open(os.path.join(folder, "cases.json"), "w") as f:
        json.dump(cases, f)


if __name__ == "__main__":
    main()
