"""Training steps of the official translator in PyTorch: clip_grad_norm_ and Adam, as the official code has them.

Given {"threads", "weights", "batch", "verify", "seconds", "least"}: paths of .safetensors files, the number of
steps whose losses and gradient norms are returned, and how long steps are timed.
"""

import math

import torch
from common import answer, arguments, load_safetensors, median_ms
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

given = arguments()
weights = load_safetensors(given["weights"])
batch = load_safetensors(given["batch"])
components = weights["z_mixture_logits.bias"].numel()


class Translator(torch.nn.Module):
    def __init__(self):
        super().__init__()
        for name in ("shared1", "shared2", "z_layer", "z_mixture_logits", "y_layer"):
            size = weights[f"{name}.weight"].shape
            setattr(self, name, torch.nn.Linear(size[1], size[0]))
        self.z_log_stds = torch.nn.Parameter(weights["z_log_stds"].clone())

    def forward(self, c):
        a = torch.relu(self.shared1(c))
        a = a + torch.relu(self.shared2(a))
        means = self.z_layer(a).view(len(c), components, -1)
        return self.z_mixture_logits(a), means, torch.exp(self.z_log_stds) + 1e-6, self.y_layer(a)


model = Translator()
model.load_state_dict(weights)
optimiser = torch.optim.Adam(model.parameters(), lr=1e-4)


def step():
    optimiser.zero_grad()
    logits, means, stds, y = model(batch["c"])
    mixture = MixtureSameFamily(Categorical(logits=logits), Independent(Normal(means, stds.expand_as(means)), 1))
    loss = -1e-4 * mixture.log_prob(batch["z"]).mean() + torch.nn.functional.mse_loss(y, batch["y"])
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return loss.item(), norm.item()


losses, norms = [], []
for i in range(given["verify"]):
    for group in optimiser.param_groups:
        group["lr"] = 1e-4 * 0.5 * (1 + math.cos(math.pi * i / given["verify"]))
    loss, norm = step()
    losses.append(loss)
    norms.append(norm)
for group in optimiser.param_groups:
    group["lr"] = 1e-4
answer(losses=losses, norms=norms, median=median_ms(step, given["seconds"], given["least"]), version=torch.__version__)
