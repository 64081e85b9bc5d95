"""Train one of the demo models: train.py --model classifier|vae|gan --out DIR [--mnist DIR].

Writes DIR/<model>.weights.pt. Renderings of the training split are kept in DIR/cache.
"""
import argparse
import copy
import math
import os
import time

import torch
import torch.nn.functional as F

import networks
from data import DEFAULT_MNIST, ColouredDigits, draw_colours


def renderings(args, count):
    """`count` renderings of the training split, each with its own thicknesses and slants."""
    os.makedirs(os.path.join(args.out, "cache"), exist_ok=True)
    out = []
    for seed in range(1, count + 1):
        path = os.path.join(args.out, "cache", f"train-{seed}.pt")
        if not os.path.exists(path):
            torch.save(ColouredDigits(args.mnist, "train", seed), path)
        out.append(torch.load(path))
    return out


def batches(sets, epochs, size, seed):
    """Shuffled full batches (images, digits) over the renderings in turn, colours new each time."""
    generator = torch.Generator().manual_seed(seed)
    for epoch in range(epochs):
        data = sets[epoch % len(sets)]
        order = torch.randperm(len(data), generator=generator)
        for at in range(0, len(data) - size + 1, size):
            yield data.batch(order[at:at + size], generator)


def scheduled(optimiser, steps, warmup=100):
    """Linear warm-up, then cosine to 0."""
    def rate(t):
        return min(1, (t + 1) / warmup) * (0.5 + 0.5 * math.cos(math.pi * min(1, t / steps)))
    return torch.optim.lr_scheduler.LambdaLR(optimiser, rate)


class Log:
    def __init__(self, every):
        self.every, self.start, self.step = every, time.time(), 0

    def __call__(self, **values):
        self.step += 1
        if self.step % self.every == 0:
            text = "  ".join(f"{k} {float(v):.4f}" for k, v in values.items())
            print(f"{self.step:6d}  {time.time() - self.start:6.0f} s  {text}", flush=True)


def train_classifier(args):
    """Cross-entropy on real renderings only: no smoothing, nothing generated."""
    size, epochs, model = 128, 4, networks.Classifier()
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=1e-2)
    schedule = scheduled(optimiser, epochs * (60000 // size))
    log = Log(100)
    for image, digit in batches(renderings(args, 2), epochs, size, seed=11):
        loss = F.cross_entropy(model(image), digit)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        log(loss=loss)
    return {"classifier": model}


def train_colours(colours, steps=2500, size=256):
    """Energy distance, with the square root of the Euclidean one, between generated and drawn colours."""
    def distance(a, b):
        return ((a[:, None] - b).square().sum(-1) + 1e-6) ** 0.25

    optimiser = torch.optim.Adam(colours.parameters(), 5e-3)
    schedule = scheduled(optimiser, steps)
    noise = torch.Generator().manual_seed(35)
    log = Log(500)
    for _ in range(steps):
        real = draw_colours(size, noise)
        real = torch.cat([real["stroke_rgb"], real["background_rgb"]], 1)
        fake = colours(torch.randn(size, networks.COLOUR_LATENT, generator=noise)).flatten(1)
        loss = 2 * distance(fake, real).mean() - distance(fake, fake).sum() / (size * (size - 1))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        log(colours=loss)


def strokes(sets, size, generator):
    """Endless random batches of stroke coverage float [size, 1, 32, 32]."""
    while True:
        for data in sets:
            index = torch.randint(len(data), (size,), generator=generator)
            yield data.masks[index][:, None].float() / 255


def train_flow(flow, encoder, sets, steps=3000, size=256):
    """Maximum likelihood of draws from the trained encoder's posteriors."""
    with torch.no_grad():
        masks = torch.cat([data.masks for data in sets]).split(1000)
        parts = [encoder(part[:, None].float() / 255) for part in masks]
    mean, log_var = (torch.cat(p) for p in zip(*parts))
    optimiser = torch.optim.Adam(flow.parameters(), 2e-3)
    schedule = scheduled(optimiser, steps)
    noise = torch.Generator().manual_seed(24)
    log = Log(500)
    for _ in range(steps):
        i = torch.randint(len(mean), (size,), generator=noise)
        w = mean[i] + (0.5 * log_var[i]).exp() * torch.randn(mean[i].shape, generator=noise)
        loss = flow.negative_log_likelihood(w).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 10)
        optimiser.step()
        schedule.step()
        log(flow=loss)


def train_vae(args):
    """Strokes: Bernoulli likelihood and the KL to N(0, I), then the flow. Colours: train_colours."""
    size, steps, sets = 128, args.steps or 2000, renderings(args, 2)
    encoder, decoder = networks.VaeEncoder(), networks.VaeDecoder()
    train_colours(decoder.colours)
    parameters = [*encoder.parameters(), *decoder.dense.parameters(), *decoder.stroke.parameters()]
    optimiser = torch.optim.Adam(parameters, 2e-3)
    schedule = scheduled(optimiser, steps)
    noise = torch.Generator().manual_seed(23)
    log = Log(100)
    for step, stroke in zip(range(steps), strokes(sets, size, torch.Generator().manual_seed(22))):
        mean, log_var = encoder(stroke)
        z = mean + (0.5 * log_var).exp() * torch.randn(mean.shape, generator=noise)
        error = F.binary_cross_entropy_with_logits(decoder.draw(z), stroke, reduction="sum") / size
        kl = 0.5 * (mean**2 + log_var.exp() - 1 - log_var).sum(1).mean()
        loss = error + args.beta * kl * min(1, 10 * (step + 1) / steps)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 200)
        optimiser.step()
        schedule.step()
        log(error=error, kl=kl)
    train_flow(decoder.flow, encoder, sets)
    return {"vae": decoder, "vae-encoder": encoder}


def imitate(generator, decoder, steps, size=128):
    """Give the generator a start: the VAE's strokes, its latent seen through a random rotation."""
    noise = torch.Generator().manual_seed(32)
    shape = networks.GAN_LATENT - networks.COLOUR_LATENT
    rotation = torch.linalg.qr(torch.randn(shape, shape, generator=noise))[0]
    rotation = rotation[:, :networks.VAE_LATENT - networks.COLOUR_LATENT]
    optimiser = torch.optim.Adam([*generator.stem.parameters(), *generator.stroke.parameters()], 2e-3)
    schedule = scheduled(optimiser, steps)
    log = Log(100)
    for _ in range(steps):
        z = torch.randn(size, shape, generator=noise)
        with torch.no_grad():
            target = decoder.draw(decoder.flow(z @ rotation)).sigmoid()
        loss = F.binary_cross_entropy(generator.draw(z), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        log(imitation=loss)


def train_gan(args):
    """Strokes: hinge loss, spectrally normalised critic, moving average. Colours: train_colours.

    Needs the trained VAE in --out, which the generator first imitates: few steps then suffice, and no
    digit is forgotten.
    """
    size, steps = 64, args.steps or 3000
    generator, critic, decoder = networks.GanGenerator(), networks.Critic(), networks.VaeDecoder()
    decoder.load_state_dict(torch.load(os.path.join(args.out, "vae.weights.pt")))
    train_colours(generator.colours)
    imitate(generator, decoder, steps // 2)
    average = copy.deepcopy(generator)
    g_optimiser = torch.optim.Adam([*generator.stem.parameters(), *generator.stroke.parameters()],
                                   5e-4, betas=(0.5, 0.99))
    c_optimiser = torch.optim.Adam(critic.parameters(), 1e-3, betas=(0.5, 0.99))
    g_schedule, c_schedule = scheduled(g_optimiser, steps), scheduled(c_optimiser, steps)
    noise = torch.Generator().manual_seed(34)
    log = Log(100)
    for step, real in zip(range(steps), strokes(renderings(args, 2), size, torch.Generator().manual_seed(33))):
        fake = generator.draw(torch.randn(size, networks.GAN_LATENT - networks.COLOUR_LATENT, generator=noise))
        real_score, fake_score = critic(torch.cat([real, fake.detach()])).chunk(2)
        c_loss = F.relu(1 - real_score).mean() + F.relu(1 + fake_score).mean()
        c_optimiser.zero_grad()
        c_loss.backward()
        c_optimiser.step()
        critic.requires_grad_(False)
        g_loss = -critic(fake).mean()
        g_optimiser.zero_grad()
        g_loss.backward()
        g_optimiser.step()
        critic.requires_grad_(True)
        g_schedule.step()
        c_schedule.step()
        decay = min(0.998, step / (step + 10))
        with torch.no_grad():
            for kept, new in zip(average.parameters(), generator.parameters()):
                kept.lerp_(new, 1 - decay)
        log(critic=c_loss, generator=g_loss)
        if log.step % 500 == 0:
            save(args, {"gan": settled(average)})
    return {"gan": settled(average)}


def settled(average):
    """A copy of the averaged generator with batch statistics of its own, over 4096 latents."""
    noise = torch.Generator().manual_seed(36)
    model = copy.deepcopy(average).train()
    for m in model.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.reset_running_stats()
            m.momentum = None  # plain mean over the batches below
    with torch.no_grad():
        for _ in range(16):
            model(torch.randn(256, networks.GAN_LATENT, generator=noise))
    return model


def save(args, models):
    for name, model in models.items():
        torch.save(model.state_dict(), os.path.join(args.out, f"{name}.weights.pt"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, choices=["classifier", "vae", "gan"])
    parser.add_argument("--out", required=True)
    parser.add_argument("--mnist", default=DEFAULT_MNIST)
    parser.add_argument("--steps", type=int, help="optimiser steps of the VAE or the GAN")
    parser.add_argument("--beta", type=float, default=1.0, help="weight of the VAE's KL")
    args = parser.parse_args()
    torch.set_num_threads(2)
    torch.manual_seed({"classifier": 1, "vae": 2, "gan": 3}[args.model])
    save(args, {"classifier": train_classifier, "vae": train_vae, "gan": train_gan}[args.model](args))


if __name__ == "__main__":
    main()
