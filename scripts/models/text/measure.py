"""Measure the text demo's models and write their entries of models/manifest.json.

python3 -m text.measure --weights DIR [--models models] [--mnist DIR], with scripts/models on PYTHONPATH:
retrieval in both directions on the test split, over combinations that the towers were taught and those held out;
the judge's attributes on the test split and on samples of both generators.
"""
import argparse
import json
import os
import random

import torch

from data import DEFAULT_MNIST, THICKNESSES, ColouredDigits, stroke_width
from measure import run, write_entries
from networks import COLOUR_LATENT, GAN_LATENT, VAE_LATENT

from text.attributes import (HELD_OUT_DIGIT_STROKE, HELD_OUT_STROKE_BACKGROUND, KINDS, NONE, combinations, held_out,
                             name_colours)
from text.captions import Tokenizer, caption, drop
from text.export import MODELS

GENERATORS = {"gan-generator": GAN_LATENT, "vae-decoder": VAE_LATENT}
SAMPLES = 4096
IMAGES = 5000


def attributes_of(data):
    a = data.attributes
    return torch.stack([data.digits, a["stroke"], a["background"], a["thickness"]], 1)


def share(hits):
    return round(float(hits.float().mean()), 4)


def by_teaching(hits, unseen):
    return {"all": share(hits), "taught": share(hits[~unseen]), "held_out": share(hits[unseen])}


def embed_texts(encoder, texts):
    tokenizer = Tokenizer()
    return run(encoder, torch.tensor([tokenizer(text) for text in texts]))


def fits(named, attributes):
    """Do images with `attributes` [.., 4] have all that captions with `named` [.., 4] name?"""
    return ((named == NONE) | (named == attributes)).all(-1)


def measure_towers(image_encoder, text_encoder, images, attributes):
    """Captions for an image among those of all combinations; images for a caption among IMAGES of them."""
    every, rng = combinations(), random.Random(9)
    x = run(image_encoder, images)
    unseen = held_out(*attributes[:, :3].T)
    plain = embed_texts(text_encoder, [caption(row) for row in every.tolist()])
    chosen = every[(x @ plain.T).argmax(1)]
    right = chosen == attributes
    metrics = {
        "caption_for_image": by_teaching(right.all(1), unseen),
        "caption_for_image_digit_and_colours": by_teaching(right[:, :3].all(1), unseen),
        **{f"caption_for_image_{kind}": by_teaching(right[:, i], unseen) for i, kind in enumerate(KINDS)},
    }
    pool, pool_attributes = x[:IMAGES], attributes[:IMAGES]
    for label, named in (("full", every), ("partial", torch.tensor([drop(row, rng) for row in every.tolist()]))):
        there = fits(named[:, None], pool_attributes[None]).any(1)
        named = named[there]
        texts = embed_texts(text_encoder, [caption(row, rng) for row in named.tolist()])
        best = pool_attributes[(texts @ pool.T).argmax(1)]
        metrics[f"image_for_{label}_caption"] = by_teaching(fits(named, best), held_out(*named[:, :3].T))
    return metrics


def stroke_widths(masks):
    """Widths in pixels of coverage float [B, 1, 32, 32], measured as data.py does, on twice the size."""
    return stroke_width(torch.nn.functional.interpolate(masks, scale_factor=2, mode="bilinear", align_corners=False))


def judged(judge, images):
    """The judge's choices, [B, 4] in the order of KINDS."""
    with torch.no_grad():
        parts = [judge(part) for part in images.split(500)]
    return torch.stack([torch.cat(p).argmax(1) for p in zip(*parts)], 1)


def known(generator, z, samples, classifier, widths):
    """Attributes [B, 4] of a generator's samples by other means than the judge; NONE where those give no clear answer.

    The digit is the demo classifier's where it is over .9 sure; the colours are those that the generator chose,
    where they have a name; the thickness is that of `widths` [3] within 12 % of which the stroke lies, where the
    digit is clear.
    """
    confidence, digit = run(classifier, samples).softmax(1).max(1)
    digit[confidence <= 0.9] = NONE
    with torch.no_grad():
        colours = generator.colours(z[:, -COLOUR_LATENT:])
    front, back = colours[..., None, None].unbind(1)
    direction = front - back
    coverage = ((samples - back) * direction).sum(1, keepdim=True) / direction.square().sum(1, keepdim=True)
    gap = (stroke_widths(coverage.clamp(0, 1))[:, None] / widths).log().abs()
    nearest, thickness = gap.min(1)
    thickness[(nearest > 0.12) | (digit == NONE)] = NONE
    return torch.cat([digit[:, None], name_colours((colours + 1) / 2), thickness[:, None]], 1)


def measure_judge(judge, images, attributes, widths, models):
    right = judged(judge, images) == attributes
    metrics = {"test": {kind: share(right[:, i]) for i, kind in enumerate(KINDS)}}
    metrics["test"]["digit_and_colours"] = share(right[:, :3].all(1))
    classifier = torch.jit.load(os.path.join(models, "classifier.pt"))
    for name, latent in GENERATORS.items():
        generator = torch.jit.load(os.path.join(models, name + ".pt"))
        z = torch.randn(SAMPLES, latent, generator=torch.Generator().manual_seed(15))
        samples = run(generator, z, 256)
        labels = known(generator, z, samples, classifier, widths)
        right = judged(judge, samples) == labels
        metrics[name] = {}
        for i, kind in enumerate(KINDS):
            has = labels[:, i] != NONE
            metrics[name][kind] = {"accuracy": share(right[has, i]), "share_known": share(has)}
    return metrics


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--models", default="models")
    parser.add_argument("--mnist", default=DEFAULT_MNIST)
    args = parser.parse_args()
    torch.set_num_threads(1)
    path = os.path.join(args.weights, "cache", "test-1.pt")
    if not os.path.exists(path):
        torch.save(ColouredDigits(args.mnist, "test", 1), path)
    test = torch.load(path)
    images, attributes = test.batch(torch.arange(len(test)))[0], attributes_of(test)
    loaded = {name: torch.jit.load(os.path.join(args.models, name + ".pt")) for name in MODELS}
    drawn = stroke_widths(test.masks[:, None].float() / 255)
    widths = torch.stack([drawn[attributes[:, 3] == t].median() for t in range(len(THICKNESSES))])
    towers = measure_towers(loaded["image-encoder"], loaded["text-encoder"], images, attributes)
    scale = torch.load(os.path.join(args.weights, "image-encoder.weights.pt"))["inverse_temperature"]
    towers["inverse_temperature"] = round(float(scale), 3)
    towers["held_out"] = {"digit_stroke": HELD_OUT_DIGIT_STROKE, "stroke_background": HELD_OUT_STROKE_BACKGROUND}
    measured = {"image-encoder": towers, "text-encoder": towers,
                "attribute-classifier": measure_judge(loaded["attribute-classifier"], images, attributes, widths,
                                                     args.models)}
    print(json.dumps(measured["attribute-classifier"], indent=1))
    print(json.dumps(towers, indent=1))
    write_entries(args.models, MODELS, measured)


if __name__ == "__main__":
    main()
