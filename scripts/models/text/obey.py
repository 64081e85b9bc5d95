"""Do the generators' samples obey the text model? python3 -m text.obey [--models models] [--fidelity F] [--steps T].

A crude sampler, for 16 prompts: each chain takes one of 4,096 prior latents by its weight exp(−E), then makes some
Metropolis-adjusted Langevin steps on E(z) = −F · s · cos(text, image) + ½|z|², s being the model's inverse
temperature. The attribute classifier says how many samples have what their prompt asks for.
"""
import argparse
import json
import os

import torch

from measure import run, sheet

from text.attributes import KINDS, NONE, VALUES, held_out
from text.measure import GENERATORS, embed_texts

CANDIDATES, POOL = 4096, 16384
# Text, and (digit, stroke, background, thickness); half are combinations that no training saw.
PROMPTS = [
    ("a thick red seven on a yellow background", "seven", "red", "yellow", "thick"),
    ("a thin yellow three on a black background", "three", "yellow", "black", "thin"),
    ("a white 5 on a blue background", "five", "white", "blue", None),
    ("a bold black zero on white", "zero", "black", "white", "thick"),
    ("magenta background, a green 8", "eight", "green", "magenta", None),
    ("the number two in thin blue strokes on a white backdrop", "two", "blue", "white", "thin"),
    ("a cyan four on a magenta background", "four", "cyan", "magenta", None),
    ("a medium magenta six with a black background", "six", "magenta", "black", "normal"),
    ("a thick red seven on a blue background", "seven", "red", "blue", "thick"),
    ("a white eight on a red background", "eight", "white", "red", None),
    ("a thin black seven on a yellow background", "seven", "black", "yellow", "thin"),
    ("a yellow 4 on a green background", "four", "yellow", "green", None),
    ("a thick blue nine on a yellow background", "nine", "blue", "yellow", "thick"),
    ("a cyan two on a black background", "two", "cyan", "black", None),
    ("a green three on a white background", "three", "green", "white", None),
    ("a red zero on a cyan background", "zero", "red", "cyan", None),
]


def wanted(prompt):
    return [VALUES[kind].index(v) if v else NONE for kind, v in zip(KINDS, prompt[1:])]


class Energy:
    """E and its gradient for chains z [N, d] with text embeddings [N, 64]."""

    def __init__(self, generator, encoder, strength):
        self.generator, self.encoder, self.strength = generator, encoder, strength

    def __call__(self, z, text):
        z = z.detach().requires_grad_(True)
        fit = (self.encoder(self.generator(z)) * text).sum(1)
        energy = 0.5 * z.square().sum(1) - self.strength * fit
        return energy.detach(), torch.autograd.grad(energy.sum(), z)[0]


def mala(energy, z, text, steps, noise):
    """Per-chain step sizes that follow the acceptance; the drift is clipped, the same in both directions."""
    def drift(g):
        return g * (10 / g.norm(dim=1, keepdim=True).clamp_min(10))

    log_h = torch.full((len(z),), 0.03).log()
    e, g = energy(z, text)
    for i in range(steps):
        h = log_h.exp()[:, None]
        new = z - h * drift(g) + (2 * h).sqrt() * torch.randn(z.shape, generator=noise)
        new_e, new_g = energy(new, text)
        there, back = (new - z + h * drift(g)).square().sum(1), (z - new + h * drift(new_g)).square().sum(1)
        accept = (e - new_e + (there - back) / (4 * h[:, 0])).exp().clamp(max=1)
        take = torch.rand(len(z), generator=noise) < accept
        z, g = torch.where(take[:, None], new, z), torch.where(take[:, None], new_g, g)
        e = torch.where(take, new_e, e)
        log_h = log_h + (accept - 0.57) / (i + 1) ** 0.6
    return z


def sample(generator, encoder, texts, latent, strength, chains, steps):
    """Latents [P · chains, d], and for each text the mean effective number of candidates."""
    noise = torch.Generator().manual_seed(61)
    pool = torch.randn(POOL, latent, generator=noise)
    fit = run(lambda z: encoder(generator(z)), pool, 256) @ texts.T
    starts, sizes = [], []
    for p in range(len(texts)):
        for _ in range(chains):
            index = torch.randperm(POOL, generator=noise)[:CANDIDATES]
            weights = (strength * fit[index, p]).softmax(0)
            sizes.append(1 / weights.square().sum())
            starts.append(index[torch.multinomial(weights, 1, generator=noise)[0]])
    z, text = pool[torch.stack(starts)], texts.repeat_interleave(chains, 0)
    parts = [mala(Energy(generator, encoder, strength), a, b, steps, noise) if steps else a
             for a, b in zip(z.split(128), text.split(128))]
    return torch.cat(parts), torch.stack(sizes).view(len(texts), chains).mean(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="models")
    parser.add_argument("--fidelity", type=float, default=1)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--chains", type=int, default=16)
    parser.add_argument("--sheets", help="a folder for a picture of the samples, a row for each prompt")
    args = parser.parse_args()
    torch.set_num_threads(1)
    encoder, text_encoder, judge, *generators = (
        torch.jit.load(os.path.join(args.models, f"{name}.pt"))
        for name in ("image-encoder", "text-encoder", "attribute-classifier", *GENERATORS))
    with open(os.path.join(args.models, "manifest.json")) as f:
        scale = next(e["metrics"]["inverse_temperature"] for e in json.load(f) if e["name"] == "image-encoder")
    texts = embed_texts(text_encoder, [p[0] for p in PROMPTS])
    want = torch.tensor([wanted(p) for p in PROMPTS])
    unseen = held_out(*want[:, :3].T)
    for (name, latent), generator in zip(GENERATORS.items(), generators):
        z, sizes = sample(generator, encoder, texts, latent, args.fidelity * scale, args.chains, args.steps)
        with torch.no_grad():
            images = torch.cat([generator(part) for part in z.split(128)])
            guess = torch.stack([logits.argmax(1) for logits in judge(images)], 1).view(len(PROMPTS), args.chains, 4)
        right = (guess == want[:, None]) | (want[:, None] == NONE)
        three = right[..., :3].all(2).float()
        print(f"{name}, fidelity {args.fidelity}, {args.steps} steps")
        for p, prompt in enumerate(PROMPTS):
            kinds = "  ".join(f"{k} {float(right[p, :, i].float().mean()):.2f}" for i, k in enumerate(KINDS))
            print(f"  {'held out' if unseen[p] else 'taught  '}  {prompt[0]:58s} {kinds}  "
                  f"digit and colours {float(three[p].mean()):.2f}  effective candidates {float(sizes[p]):.1f}")
        print(f"  digit and both colours: taught {float(three[~unseen].mean()):.3f}, held out "
              f"{float(three[unseen].mean()):.3f}; all four {float(right.all(2).float().mean()):.3f}; "
              f"latent rms {float(z.square().mean().sqrt()):.2f}", flush=True)
        if args.sheets:
            sheet(images, os.path.join(args.sheets, f"obey-{name}.png"), args.chains)


if __name__ == "__main__":
    main()
