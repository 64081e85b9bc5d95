"""The networks that cases run: the demo's with their weights, larger ones with random weights.

Run with {"threads", "folder", "names"} it exports those of the larger ones that the folder lacks.
"""

import os
import sys

import torch
import torch.nn.functional as F

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(here, "../../scripts", folder) for folder in ("models", "fixtures/architectures")]

DEMO = {"gan-generator": "GanGenerator", "vae-decoder": "VaeDecoder", "classifier": "Classifier"}


def demo(name):
    import networks

    module = getattr(networks, DEMO[name])()
    saved = torch.jit.load(os.path.join(here, f"../../models/{name}.pt"))
    module.load_state_dict(saved.state_dict())
    return module.eval()


def large(name):
    """The module and the Case it comes from; its weights follow from its name."""
    from wide import CASES

    case = next(case for case in CASES if case.name == name)
    return case.make()[0], case


def network(name):
    module = demo(name) if name in DEMO else large(name)[0]
    return module.requires_grad_(False)


class Energy(torch.nn.Module):
    """z [N, d], c [N, m] to the cross-entropy of the encoder's logits [N]; images are resized where a size is given."""

    def __init__(self, generator, encoder, size):
        super().__init__()
        self.generator, self.encoder, self.size = network(generator), network(encoder), size

    def images(self, z):
        return self.generator(z)

    def logits(self, z):
        image = self.generator(z)
        if self.size:
            image = F.interpolate(image, size=(self.size, self.size), mode="bilinear", align_corners=False)
        return self.encoder(image)

    def forward(self, z, c):
        return -(c * F.log_softmax(self.logits(z), 1)).sum(1)


@torch.enable_grad()
def slope(module, x, *others):
    """Results [N, …] of a module and their summed gradient with respect to x."""
    given = x.detach().requires_grad_()
    y = module(given, *others)
    return y.detach(), torch.autograd.grad(y, given, torch.ones_like(y))[0]


if __name__ == "__main__":
    from case import export
    from common import answer, arguments

    wanted = arguments()
    for each in wanted["names"]:
        path = os.path.join(wanted["folder"], f"{each}.onnx")
        if not os.path.exists(path):
            module, case = large(each)
            inputs = [torch.randn(case.batch, *dims) for dims in case.inputs.values()]
            export(case, module, inputs, path + ".part")
            os.replace(path + ".part", path)
    answer()
