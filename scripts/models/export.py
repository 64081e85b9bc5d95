"""Write the trained models as ONNX and TorchScript: export.py --weights DIR [--out models].

Models whose weights are missing are left out. The input and output names and the symbolic batch
dimension are part of the contract that the tests and the demo rely on.
"""
import argparse
import os
import zipfile
from typing import Callable, NamedTuple

import torch

import networks

IMAGE = (3, 32, 32)


class Spec(NamedTuple):
    """A model that ships: its weights' file, how to make the network, its input and its outputs without the batch."""
    weights: str
    network: Callable
    input: str
    row: tuple
    outputs: dict
    words: int = 0  # the input is int64 word numbers below this, and its rows may be shorter than `row`

    def example(self, batch, seed):
        generator = torch.Generator().manual_seed(seed)
        if not self.words:
            return torch.randn(batch, *self.row, generator=generator)
        ids = torch.randint(1, self.words, (batch, *self.row), generator=generator)
        length = torch.randint(1, self.row[0] + 1, (batch, 1), generator=generator)
        return torch.where(torch.arange(self.row[0]) < length, ids, torch.zeros_like(ids))


MODELS = {
    "classifier": Spec("classifier", networks.Classifier, "image", IMAGE, {"logits": (10,)}),
    "vae-decoder": Spec("vae", networks.VaeDecoder, "z", (networks.VAE_LATENT,), {"image": IMAGE}),
    "gan-generator": Spec("gan", networks.GanGenerator, "z", (networks.GAN_LATENT,), {"image": IMAGE}),
}


def load(spec, weights):
    """The trained network in evaluation mode, or None where it has no weights yet."""
    path = os.path.join(weights, f"{spec.weights}.weights.pt")
    if not os.path.exists(path):
        return None
    model = spec.network()
    model.load_state_dict(torch.load(path))
    return model.eval().requires_grad_(False)


def strip(path):
    """Drop the debug records of a TorchScript archive: they hold the paths of the machine that wrote it."""
    with zipfile.ZipFile(path) as archive:
        records = [(r.filename, archive.read(r)) for r in archive.infolist() if not r.filename.endswith(".debug_pkl")]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in records:
            archive.writestr(zipfile.ZipInfo(name), content)


def export(models, weights, out):
    """Write each of `models` (name: Spec) that has weights."""
    os.makedirs(out, exist_ok=True)
    for name, spec in models.items():
        model = load(spec, weights)
        if model is None:
            continue
        example = spec.example(2, 0)
        path = os.path.join(out, name)
        axes = {v: {0: "batch"} for v in (spec.input, *spec.outputs)}
        if spec.words:
            axes[spec.input][1] = "length"
        torch.onnx.export(
            model, example, path + ".onnx", opset_version=17, input_names=[spec.input],
            output_names=list(spec.outputs), dynamic_axes=axes,
        )
        torch.jit.trace(model, example).save(path + ".pt")
        strip(path + ".pt")
        print(name, os.path.getsize(path + ".onnx"), os.path.getsize(path + ".pt"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out", default="models")
    args = parser.parse_args()
    export(MODELS, args.weights, args.out)


if __name__ == "__main__":
    main()
