"""Captions from attributes, in many wordings, and the tokenizer that reads them.

A caption names any of the attributes: "a thick red seven on a blue background", "blue background, a 7".
"""
import json
import random
import re

from text.attributes import KINDS, NONE, VALUES

LENGTH = 20
PAD, UNKNOWN = "<pad>", "<unknown>"
THICKNESS_WORDS = {"thin": ["thin", "thin", "fine", "slim"], "normal": ["medium", "normal", "regular"],
                   "thick": ["thick", "thick", "bold", "fat"]}
NOUNS = ["digit", "digit", "number", "numeral", "figure"]
OPENINGS = ["", "", "", "", "a picture of ", "an image of ", "a drawing of ", "a photo of "]
# How often a caption names an attribute that the image has.
NAMED = {"digit": 0.88, "stroke": 0.8, "background": 0.75, "thickness": 0.5}


def words_of(text):
    """Words as the tokenizer sees them: runs of letters and digits, in lower case."""
    return re.findall(r"[^\W_]+", text.lower())


def drop(attributes, rng):
    """The attributes [4] of one image with some made NONE, at least one named where one has a name."""
    kept = [a if rng.random() < NAMED[kind] else NONE for kind, a in zip(KINDS, attributes)]
    if all(a == NONE for a in kept):
        named = [i for i, a in enumerate(attributes) if a != NONE]
        if named:
            i = rng.choice(named)
            kept[i] = attributes[i]
    return kept


def _article(phrase):
    return ("an " if phrase[0] in "aeiou" and not phrase.startswith("one") else "a ") + phrase


def caption(attributes, rng=None):
    """A sentence about the attributes [4] that are not NONE; without `rng` in the first wording of each part."""
    digit, stroke, background, thickness = (
        None if a == NONE else VALUES[kind][a] for kind, a in zip(KINDS, attributes))
    plain = rng is None
    rng = rng or random.Random(0)

    def pick(options):
        return options[0] if plain else rng.choice(options)

    if thickness:
        thickness = pick(THICKNESS_WORDS[thickness])
    noun = pick(NOUNS)
    if digit:
        numeral = str(VALUES["digit"].index(digit))
        name = pick([digit, digit, numeral, f"{noun} {digit}", f"{noun} {numeral}"])
    else:
        name = noun
    style = " ".join(w for w in (thickness, stroke) if w)
    front = pick([
        _article(f"{style} {name}".strip()),
        f"the {style} {name}".replace("  ", " "),
        f"{style} {name}".strip(),
        f"{_article(name)} in {style}" if style else _article(name),
        f"{_article(name)} drawn in {style}{' ' + pick(['strokes', 'lines', 'ink']) if thickness else ''}"
        if style else _article(name),
        f"{_article(f'{stroke} {name}' if stroke else name)}{', ' + thickness if thickness else ''}",
    ])
    if not background:
        return pick(OPENINGS) + front
    ground = pick(["background", "background", "backdrop"])
    if rng.random() < 0.15 and not plain:
        return f"on {_article(f'{background} {ground}')}, {front}"
    return pick(OPENINGS) + pick([
        f"{front} on {_article(f'{background} {ground}')}",
        f"{front} on {background}",
        f"{front}, {background} {ground}",
        f"{front} in front of {_article(f'{background} {ground}')}",
        f"{front} with {_article(f'{background} {ground}')}",
        f"{background} {ground}, {front}",
        f"{_article(f'{background} {ground}')} with {front}",
    ])


def vocabulary():
    """Every word that caption() can say, after padding (0) and the unknown word (1)."""
    parts = [*OPENINGS, *NOUNS, *(w for ws in THICKNESS_WORDS.values() for w in ws), *(str(d) for d in range(10)),
             *(w for kind in KINDS for w in VALUES[kind]),
             "a an the in on of with front drawn strokes lines ink background backdrop"]
    return [PAD, UNKNOWN, *sorted({w for part in parts for w in words_of(part)})]


class Tokenizer:
    """Text to LENGTH word numbers, as lib/condition/tokenizer.ts does it."""

    def __init__(self):
        self.vocabulary = vocabulary()
        self.index = {w: i for i, w in enumerate(self.vocabulary)}

    def __call__(self, text):
        ids = [self.index.get(w, 1) for w in words_of(text)]
        if not 0 < len(ids) <= LENGTH:
            raise ValueError(f"{text!r}: expected 1 … {LENGTH} words, got {len(ids)}")
        return ids + [0] * (LENGTH - len(ids))

    def save(self, path):
        with open(path, "w") as f:
            json.dump({"kind": "words", "length": LENGTH, "pad": 0, "unknown": 1, "vocabulary": self.vocabulary}, f)
            f.write("\n")
