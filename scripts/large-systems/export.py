"""Exports the generators and the CLIP tower of docs/large-systems.md at random weights, for examples/large-systems.ts.

    python3 scripts/large-systems/export.py FOLDER            widths and depths as published, small images; 0.7 GB
    python3 scripts/large-systems/export.py FOLDER --small    everything narrow, for a quick look and the tests:
                                                              test/fixtures/large-systems

Needs torch (1.13 was used). With real checkpoints only the modules change: the wrapper and the export stay as they are.
"""

import argparse
import json
import os
import sys
import warnings

import torch
from torch import nn

ARCHITECTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "architectures")
sys.path.insert(0, ARCHITECTURES)

from biggan import BigGan  # noqa: E402
from case import settle  # noqa: E402
from clip_vit import ClipVit  # noqa: E402
from nvae import Nvae  # noqa: E402
from r3gan import R3Gan  # noqa: E402
from sd_turbo import one_step  # noqa: E402
from stylegan2 import StyleGan2  # noqa: E402


class Synthesis(nn.Module):
    """StyleGAN2 without its mapping network: w [N, layers, style], which tr0n fills with one w."""

    def __init__(self, stylegan2):
        super().__init__()
        self.stylegan2 = stylegan2

    def forward(self, w):
        return self.stylegan2.synthesis(w)


class Groups(nn.Module):
    """NVAE with an input for each of its groups."""

    def __init__(self, nvae):
        super().__init__()
        self.nvae = nvae

    def forward(self, *noises):
        return self.nvae.decode(noises)


def biggan(small, folder):
    sizes = {"width": 8, "multipliers": (4, 2, 1, 1), "chunk": 4, "embedding": 8}
    if not small:
        # BigGAN at 64 pixels: blocks of 1536 … 96 channels, attention at 32 × 32, chunks of 20 and a class embedding of 128.
        sizes = {"width": 96, "multipliers": (16, 8, 4, 2, 1), "chunk": 20, "embedding": 128, "attention": 2}
    module = BigGan(**sizes, spectral=False)
    # With real weights: the generator's nn.Embedding (shared.weight) as it is.
    classes = 0.2 * torch.randn(10 if small else 1000, module.embedding)
    settle(module, [torch.randn(4, module.latent), classes[:4]])
    path = os.path.join(folder, "biggan-classes.json")
    with open(path, "w") as file:
        json.dump([[round(v, 6) for v in row] for row in classes.tolist()], file)
        file.write("\n")
    print(path, flush=True)
    export(module, {"z": torch.randn(2, module.latent), "y": classes[:2]}, os.path.join(folder, "biggan.onnx"), "image")


def stylegan2(small, folder):
    sizes = {"size": 16} if small else {"latent": 512, "style": 512, "width": 512, "size": 64, "layers": 8}
    module = StyleGan2(**sizes)
    z = torch.randn(2, sizes.get("latent", 16))
    export(module.mapping, {"z": z}, os.path.join(folder, "stylegan2-mapping.onnx"), "w")
    w = module.mapping(z)[:, None].repeat(1, module.layers, 1)
    export(Synthesis(module), {"w": w}, os.path.join(folder, "stylegan2.onnx"), "image")


def nvae(small, folder):
    module = Nvae(width=16, scales=2) if small else Nvae(width=128, scales=3, groups=2, latent=20, components=10)
    settle(module, [torch.randn(4, module.size)])
    noises = {f"z{i}": torch.randn(2, *shape) for i, shape in enumerate(module.shapes)}
    export(Groups(module), noises, os.path.join(folder, "nvae.onnx"), "image")


def clip(small, folder):
    # ViT-B/32.
    size = 32 if small else 224
    tower = ClipVit(size, 8, 32, 2, 4, 16) if small else ClipVit(size, 32, 768, 12, 12, 512)
    export(tower, {"x": torch.randn(2, 3, size, size)}, os.path.join(folder, "clip_vit.onnx"), "embedding")


def r3gan(small, folder):
    # FFHQ at 64 pixels.
    module = R3Gan(latent=8, widths=(16, 16, 16), blocks=1) if small else R3Gan()
    z = torch.randn(2, module.latent)
    export(module, {"z": z}, os.path.join(folder, "r3gan.onnx"), "image")


def turbo(small, folder):
    rows, width = (5, 8) if small else (77, 1024)
    # With real weights: the text tower's last hidden state for a prompt.
    text = torch.randn(rows, width)
    path = os.path.join(folder, "turbo-text.json")
    with open(path, "w") as file:
        json.dump([[round(v, 6) for v in row] for row in text.tolist()], file)
        file.write("\n")
    print(path, flush=True)
    side = 2 if small else 16
    inputs = {"z": torch.randn(2, 4, side, side), "text": text.repeat(2, 1, 1), "timestep": torch.tensor(999)}
    export(one_step(small), inputs, os.path.join(folder, "turbo.onnx"), "image")


def export(module, inputs, path, output):
    module.eval().requires_grad_(False)
    rows = [name for name, value in inputs.items() if value.dim() > 0]
    torch.onnx.export(
        module, tuple(inputs.values()), path, opset_version=17, input_names=list(inputs), output_names=[output],
        dynamic_axes={name: {0: "batch"} for name in [*rows, output]},
    )
    print(path, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args()
    # What the tracer takes for a constant is one: the sizes of a network.
    warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
    torch.manual_seed(1)
    os.makedirs(arguments.folder, exist_ok=True)
    for build in [biggan, stylegan2, nvae, clip, r3gan, turbo]:
        build(arguments.small, arguments.folder)


if __name__ == "__main__":
    main()
