"""Exports the generators and the CLIP tower of docs/large-systems.md at random weights, for examples/large-systems.ts.

    python3 scripts/large-systems/export.py FOLDER            widths and depths as published, small images; 0.7 GB
    python3 scripts/large-systems/export.py FOLDER --small    everything narrow, for a quick look

Needs torch (1.13 was used). With real checkpoints only the modules change: the wrapper and the export stay as they are.
"""

import argparse
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
from stylegan2 import StyleGan2  # noqa: E402


class OneClass(nn.Module):
    """BigGAN with a class embedding that stays fixed: tr0n's generators take one input."""

    def __init__(self, biggan, embedding):
        super().__init__()
        self.biggan = biggan
        self.register_buffer("embedding", embedding)

    def forward(self, z):
        return self.biggan(z, self.embedding.expand(z.shape[0], -1))


def biggan(small):
    sizes = {"width": 8, "multipliers": (4, 2, 1, 1), "chunk": 4, "embedding": 8}
    if not small:
        # BigGAN at 64 pixels: blocks of 1536 … 96 channels, attention at 32 × 32, chunks of 20 and a class embedding of 128.
        sizes = {"width": 96, "multipliers": (16, 8, 4, 2, 1), "chunk": 20, "embedding": 128, "attention": 2}
    module = BigGan(**sizes, spectral=False)
    settle(module, [torch.randn(4, module.latent), torch.randn(4, module.embedding)])
    return OneClass(module, torch.randn(1, module.embedding)), module.latent


def stylegan2(small):
    sizes = {} if small else {"latent": 512, "style": 512, "width": 512, "size": 64, "layers": 8}
    return StyleGan2(**sizes), sizes.get("latent", 16)


def nvae(small):
    module = Nvae() if small else Nvae(width=128, scales=3, groups=2, latent=20, components=10)
    settle(module, [torch.randn(4, module.size)])
    return module, module.size


def export(module, example, path, name, output):
    module.eval().requires_grad_(False)
    torch.onnx.export(
        module, example, path, opset_version=17, input_names=[name], output_names=[output],
        dynamic_axes={name: {0: "batch"}, output: {0: "batch"}},
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
    for name, build in [("biggan", biggan), ("stylegan2", stylegan2), ("nvae", nvae)]:
        module, latent = build(arguments.small)
        path = os.path.join(arguments.folder, f"{name}.onnx")
        export(module, torch.randn(2, latent), path, "z", "image")
    # ViT-B/32.
    size = 32 if arguments.small else 224
    tower = ClipVit() if arguments.small else ClipVit(size, 32, 768, 12, 12, 512)
    path = os.path.join(arguments.folder, "clip_vit.onnx")
    export(tower, torch.randn(2, 3, size, size), path, "x", "embedding")


if __name__ == "__main__":
    main()
