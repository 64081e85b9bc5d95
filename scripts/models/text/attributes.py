"""What captions speak of, and which combinations the text–image model never sees while it learns.

The one place that says which colours have which name, and what "held out" means.
"""
import torch

from data import COLOURS, PALETTE, THICKNESSES, allowed_pairs

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
KINDS = ["digit", "stroke", "background", "thickness"]
VALUES = {"digit": DIGITS, "stroke": COLOURS, "background": COLOURS, "thickness": THICKNESSES}
NONE = -1  # the attribute has no name here: a colour between two names, a smudge that is no digit

# Never in an image or a caption of the text–image model's training.
HELD_OUT_DIGIT_STROKE = [
    ("zero", "red"), ("one", "cyan"), ("two", "white"), ("three", "green"), ("four", "yellow"),
    ("five", "magenta"), ("six", "blue"), ("seven", "black"), ("eight", "white"), ("nine", "red"),
]
HELD_OUT_STROKE_BACKGROUND = [
    ("red", "blue"), ("blue", "yellow"), ("cyan", "black"), ("magenta", "white"), ("green", "red"),
]


def palette():
    """RGB in [0, 1] of the named colours, [8, 3]."""
    return torch.tensor([PALETTE[name] for name in COLOURS])


def name_colours(rgb, clear=0.6, reach=0.35):
    """Index into COLOURS of the nearest named colour of each [..., 3] in [0, 1], or NONE.

    A colour has no name where it is over `reach` from the nearest (Euclidean), or over `clear` times as far
    from it as from the second nearest.
    """
    distance, order = torch.cdist(rgb.reshape(-1, 3), palette()).sort(1)
    named = (distance[:, 0] <= reach) & (distance[:, 0] <= clear * distance[:, 1])
    return torch.where(named, order[:, 0], torch.full_like(order[:, 0], NONE)).reshape(rgb.shape[:-1])


def _table(pairs, rows, columns):
    table = torch.zeros(len(rows), len(columns), dtype=torch.bool)
    for a, b in pairs:
        table[rows.index(a), columns.index(b)] = True
    return table


def held_out(digit, stroke, background):
    """Boolean [B]: is one of the two held-out pairs among these indices? NONE is in no pair."""
    first = _table(HELD_OUT_DIGIT_STROKE, DIGITS, COLOURS)[digit, stroke] & (digit >= 0) & (stroke >= 0)
    second = _table(HELD_OUT_STROKE_BACKGROUND, COLOURS, COLOURS)[stroke, background]
    return first | (second & (stroke >= 0) & (background >= 0))


def combinations():
    """All [N, 4] combinations that the data has, in the order of KINDS, held-out ones included."""
    return torch.tensor([
        (d, s, b, t)
        for d in range(len(DIGITS)) for s, b in allowed_pairs().nonzero().tolist() for t in range(len(THICKNESSES))
    ])
