"""Hold TorchScript to the eager networks, and write references for check.mjs.

check.py --weights DIR [--models models]: for batches of 1, 7 and 64, fails where the outputs differ
by more than 1e-5 (of the largest value, where that is over 1); writes inputs and eager outputs to
DIR/reference, as raw float32 and int64. Models whose weights are missing are left out, and said so.
"""
import argparse
import json
import os

import torch

import export
import text.export

BATCHES = (1, 7, 64)
TOLERANCE = 1e-5
MODELS = {**export.MODELS, **text.export.MODELS}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--models", default="models")
    args = parser.parse_args()
    folder = os.path.join(args.weights, "reference")
    os.makedirs(folder, exist_ok=True)
    cases = []

    def write(tensor, file):
        tensor.contiguous().numpy().tofile(os.path.join(folder, file))

    for name, spec in MODELS.items():
        eager = export.load(spec, args.weights)
        if eager is None:
            print(f"{name}: left out, for {spec.weights}.weights.pt is not there")
            continue
        script = torch.jit.load(os.path.join(args.models, name + ".pt"))
        for batch in BATCHES:
            x = spec.example(batch, batch)
            wanted, got = (y if isinstance(y, tuple) else (y,) for y in (eager(x), script(x)))
            for output, a, b in zip(spec.outputs, wanted, got):
                worst = float((a - b).abs().max() / a.abs().max().clamp_min(1))
                print(f"{name} TorchScript, {output}, batch {batch}: largest difference {worst:.2e}")
                if not worst <= TOLERANCE:
                    raise SystemExit(f"{name}: TorchScript differs from the eager network")
                write(a, f"{name}-{batch}.{output}.out")
            write(x, f"{name}-{batch}.in")
            cases.append({"model": name, "batch": batch, "input": spec.input, "row": list(spec.row),
                          "type": "int64" if spec.words else "float32", "outputs": list(spec.outputs),
                          "tolerance": TOLERANCE})
    with open(os.path.join(folder, "cases.json"), "w") as f:
        json.dump(cases, f)


if __name__ == "__main__":
    main()
