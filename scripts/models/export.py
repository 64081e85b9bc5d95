"""Write the trained models as ONNX and TorchScript: export.py --weights DIR [--out models].

Models whose weights are missing are left out. The input and output names and the symbolic batch
dimension are part of the contract that the tests and the demo rely on.
"""
import argparse
import os
import zipfile

import torch

import networks

# name: (weights, network, input, shape of one row, output)
MODELS = {
    "classifier": ("classifier", networks.Classifier, "image", (3, 32, 32), "logits"),
    "vae-decoder": ("vae", networks.VaeDecoder, "z", (networks.VAE_LATENT,), "image"),
    "gan-generator": ("gan", networks.GanGenerator, "z", (networks.GAN_LATENT,), "image"),
}


def load(name, weights):
    """The trained network in evaluation mode, or None where it has no weights yet."""
    file, network, *_ = MODELS[name]
    path = os.path.join(weights, f"{file}.weights.pt")
    if not os.path.exists(path):
        return None
    model = network()
    model.load_state_dict(torch.load(path))
    return model.eval().requires_grad_(False)


def strip(path):
    """Drop the debug records of a TorchScript archive: they hold the paths of the machine that wrote it."""
    with zipfile.ZipFile(path) as archive:
        records = [(r.filename, archive.read(r)) for r in archive.infolist() if not r.filename.endswith(".debug_pkl")]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in records:
            archive.writestr(zipfile.ZipInfo(name), content)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out", default="models")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    for name, (_, _, source, row, target) in MODELS.items():
        model = load(name, args.weights)
        if model is None:
            continue
        example = torch.randn(2, *row, generator=torch.Generator().manual_seed(0))
        path = os.path.join(args.out, name)
        torch.onnx.export(
            model, example, path + ".onnx", opset_version=17, input_names=[source], output_names=[target],
            dynamic_axes={source: {0: "batch"}, target: {0: "batch"}},
        )
        torch.jit.trace(model, example).save(path + ".pt")
        strip(path + ".pt")
        print(name, os.path.getsize(path + ".onnx"), os.path.getsize(path + ".pt"))


if __name__ == "__main__":
    main()
