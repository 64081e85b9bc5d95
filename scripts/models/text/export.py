"""Write the text demo's models as ONNX and TorchScript, and the tokenizer as JSON.

python3 -m text.export --weights DIR [--out models] [--fixture FILE], with scripts/models on PYTHONPATH. The fixture has
captions with their word numbers and embeddings, for the tests of other implementations.
"""
import argparse
import json
import os
import random

import torch

from export import IMAGE, Spec, export, load

from text.attributes import KINDS, VALUES, combinations
from text.captions import LENGTH, Tokenizer, caption, drop, vocabulary
from text.judge import AttributeClassifier
from text.towers import EMBEDDING, ImageTower, TextTower

WORDS = len(vocabulary())
MODELS = {
    "image-encoder": Spec("image-encoder", ImageTower, "image", IMAGE, {"embedding": (EMBEDDING,)}),
    "text-encoder": Spec("text-encoder", lambda: TextTower(WORDS, LENGTH), "tokens", (LENGTH,),
                         {"embedding": (EMBEDDING,)}, WORDS),
    "attribute-classifier": Spec("attribute-classifier", AttributeClassifier, "image", IMAGE,
                                 {kind: (len(VALUES[kind]),) for kind in KINDS}),
}
TOKENIZER = "text-tokenizer.json"


def fixture(weights, path):
    """Captions in many wordings, and some that no training saw."""
    rng, tokenizer = random.Random(7), Tokenizer()
    rows = combinations().tolist()
    texts = [caption(drop(rng.choice(rows), rng), rng) for _ in range(20)]
    texts += ["A thick RED seven, on a blue background!", "seven", "a crimson 7 on teal", "7-7 red/blue",
              "thin\tgreen\nthree", "thick " * LENGTH]
    ids = [tokenizer(text) for text in texts]
    embeddings = load(MODELS["text-encoder"], weights)(torch.tensor(ids))
    cases = [{"text": t, "ids": i, "embedding": [round(x, 6) for x in e.tolist()]}
             for t, i, e in zip(texts, ids, embeddings)]
    with open(path, "w") as f:
        json.dump(cases, f, indent=1)
        f.write("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out", default="models")
    parser.add_argument("--fixture")
    args = parser.parse_args()
    export(MODELS, args.weights, args.out)
    Tokenizer().save(os.path.join(args.out, TOKENIZER))
    if args.fixture:
        fixture(args.weights, args.fixture)


if __name__ == "__main__":
    main()
