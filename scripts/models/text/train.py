"""Train the models of the text demo: python3 -m text.train --model towers|judge --out DIR [--mnist DIR].

Run with scripts/models on PYTHONPATH. Writes DIR/image-encoder.weights.pt and DIR/text-encoder.weights.pt, or
DIR/attribute-classifier.weights.pt. Renderings of the training split are kept in DIR/cache.
"""
import argparse
import os
import random

import torch
import torch.nn.functional as F

from data import DEFAULT_MNIST, ColouredDigits
from train import Log, save, scheduled

from text.attributes import KINDS, NONE
from text.captions import LENGTH, Tokenizer, caption, drop
from text.images import Source
from text.judge import AttributeClassifier
from text.towers import ImageTower, TextTower


def renderings(args, seeds):
    os.makedirs(os.path.join(args.out, "cache"), exist_ok=True)
    sets = []
    for seed in seeds:
        path = os.path.join(args.out, "cache", f"train-{seed}.pt")
        if not os.path.exists(path):
            torch.save(ColouredDigits(args.mnist, "train", seed), path)
        sets.append(torch.load(path))
    return sets


class Captions:
    """Captions of images, each naming some attributes: word numbers [B, longest] and what they name [B, 4]."""

    def __init__(self, seed):
        self.rng, self.tokenizer = random.Random(seed), Tokenizer()

    def __call__(self, attributes):
        named = [drop(row, self.rng) for row in attributes.tolist()]
        ids = torch.tensor([self._ids(row) for row in named])
        return ids[:, :int((ids != 0).sum(1).max())], torch.tensor(named)

    def _ids(self, row):
        ids = [i for i in self.tokenizer(caption(row, self.rng)) if i]
        if self.rng.random() < 0.1:  # a word that nobody knows changes nothing
            ids.insert(self.rng.randrange(len(ids) + 1), 1)
        return (ids + [0] * LENGTH)[:LENGTH]


def fast(network):
    """In the memory order in which small convolutions are quickest on a CPU."""
    return network.to(memory_format=torch.channels_last)


def contrastive(image, text, attributes, named, scale):
    """Both directions of the contrastive loss, where an image fits every caption whose named attributes it has.

    Images as the answer to a caption: all that fit are equally right, so the best scores are log p(caption | image)
    up to a number of the caption's own. Captions as the answer to an image: right in inverse proportion to how
    many images of the batch they fit.
    """
    fits = ((named[None] == NONE) | (named[None] == attributes[:, None])).all(2).float()
    scores = scale * image @ text.T
    target = fits / fits.sum(0, keepdim=True).clamp_min(1)
    to_image = -(target * scores.log_softmax(0)).sum(0)
    asked = (fits.sum(0) > 0) & (named != NONE).any(1)
    target = target / target.sum(1, keepdim=True).clamp_min(1e-9)
    to_text = -(target * scores.log_softmax(1)).sum(1)
    return to_image[asked].mean() + to_text[(fits.sum(1) > 0)].mean()


def train_towers(args, size=192, most=50.0):
    """Contrastive, on images and captions without any held-out pair. `most`: the largest inverse temperature."""
    steps = args.steps or 2400
    source = Source(renderings(args, (1, 2)), 41, smudges=0.1, spread=0.09, between=0.25, shifts=2, blurs=1.0,
                    noise=0.15, near_misses=0.5, without_held_out=True)
    captions = Captions(42)
    image_tower, text_tower = fast(ImageTower()), TextTower(len(captions.tokenizer.vocabulary), LENGTH)
    scale = torch.nn.Parameter(torch.tensor(10.0).log())
    optimiser = torch.optim.AdamW([*image_tower.parameters(), *text_tower.parameters(), scale], 2e-3,
                                  betas=(0.9, 0.98), weight_decay=1e-2)
    schedule = scheduled(optimiser, steps)
    log = Log(100)
    for step in range(steps):
        image, attributes = source.batch(size)
        ids, named = captions(attributes[::2])  # of every other image: the rest only compete
        embedding = image_tower(image.contiguous(memory_format=torch.channels_last))
        loss = contrastive(embedding, text_tower(ids), attributes, named, scale.exp())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*image_tower.parameters(), *text_tower.parameters()], 1)
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            scale.clamp_(max=torch.tensor(most).log())
        log(loss=loss, scale=scale.exp())
    image_tower.inverse_temperature.copy_(scale.detach().exp())
    return {"image-encoder": image_tower, "text-encoder": text_tower}


def train_judge(args, size=128):
    """Cross-entropy of each attribute that has a name; clean digits, every combination."""
    steps = args.steps or 2400
    source = Source(renderings(args, (3,)), 51, smudges=0, spread=0.05, between=0.1, shifts=1, blurs=0.4,
                    noise=0.05, clear=0.9)
    model = fast(AttributeClassifier())
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    schedule = scheduled(optimiser, steps)
    log = Log(100)
    for step in range(steps):
        image, attributes = source.batch(size)
        parts = [F.cross_entropy(logits, attributes[:, i], ignore_index=NONE)
                 for i, logits in enumerate(model(image.contiguous(memory_format=torch.channels_last)))]
        optimiser.zero_grad()
        sum(parts).backward()
        optimiser.step()
        schedule.step()
        log(**dict(zip(KINDS, parts)))
    return {"attribute-classifier": model}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, choices=["towers", "judge"])
    parser.add_argument("--out", required=True)
    parser.add_argument("--mnist", default=DEFAULT_MNIST)
    parser.add_argument("--steps", type=int, help="optimiser steps")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed({"towers": 4, "judge": 5}[args.model])
    save(args, {"towers": train_towers, "judge": train_judge}[args.model](args))


if __name__ == "__main__":
    main()
