"""Batches of images with their attributes, with the disturbance that the models must bear.

Strokes are shifted, blurred and laid over each other while they are still coverage masks, which is the same as
doing it to the image and three times cheaper; colours spread over what a name covers, and between names.
"""
import torch
import torch.nn.functional as F

from data import COLOURS, allowed_pairs, paint

from text.attributes import DIGITS, NONE, held_out, name_colours, palette

VISIBLE = 0.25  # distance of two colours in RGB, in [0, 1], under which a stroke does not show


def shift(masks, most, generator):
    """Masks [B, 1, 32, 32] moved by whole pixels, up to `most` each way; nothing comes in."""
    size = masks.shape[-1]
    padded = F.pad(masks, [most] * 4)
    dy, dx = torch.randint(2 * most + 1, (2, len(masks), 1), generator=generator)
    rows, columns = torch.arange(size) + dy, torch.arange(size) + dx
    return padded[torch.arange(len(masks))[:, None, None], 0, rows[:, :, None], columns[:, None, :]][:, None]


def blur(masks, most, generator):
    """Each mask mixed with its 3x3 mean, by a share of up to `most`."""
    share = torch.rand(len(masks), 1, 1, 1, generator=generator) * most
    return masks.lerp(F.avg_pool2d(masks, 3, 1, 1), share)


def overlay(masks, generator):
    """Smudges: each mask under another one, or fading into it. They are no digit, and of no thickness."""
    other = masks[torch.randperm(len(masks), generator=generator)]
    share = 0.35 + 0.3 * torch.rand(len(masks), 1, 1, 1, generator=generator)
    both = torch.rand(len(masks), 1, 1, 1, generator=generator) < 0.5
    return torch.where(both, torch.maximum(masks, other), masks.lerp(other, share))


def spread_colours(index, spread, between, generator):
    """RGB in [0, 1] [B, 3] about the named colours: normal noise; a share `between` on the way to another name."""
    own, count = palette()[index], len(index)
    other = palette()[torch.randint(len(COLOURS), (count,), generator=generator)]
    way = torch.rand(count, 1, generator=generator) * (torch.rand(count, 1, generator=generator) < between)
    return (own.lerp(other, way) + spread * torch.randn(count, 3, generator=generator)).clamp(0, 1)


class Source:
    """Endless batches (image [B, 3, 32, 32], attributes [B, 4] in the order of KINDS) of rendered masks.

    `without_held_out`: draw other colours until no held-out pair is there. `near_misses`: this share of a batch
    has few digits and few colours, so that most of its images differ from each other in little.
    """

    def __init__(self, sets, seed, *, smudges, spread, between, shifts, blurs, noise, near_misses=0.0,
                 without_held_out=False, clear=0.6):
        self.masks = torch.cat([s.masks for s in sets])
        self.digits = torch.cat([s.digits for s in sets])
        self.thickness = torch.cat([s.attributes["thickness"] for s in sets])
        self.of_digit = [(self.digits == d).nonzero()[:, 0] for d in range(len(DIGITS))]
        self.generator = torch.Generator().manual_seed(seed)
        self.smudges, self.spread, self.between = smudges, spread, between
        self.shifts, self.blurs, self.noise = shifts, blurs, noise
        self.near_misses, self.without_held_out, self.clear = near_misses, without_held_out, clear

    def _choose(self, count, digits, pairs):
        """`count` masks of these digits, and colour indices [count, 2] from these (stroke, background) pairs."""
        g = self.generator
        pools = [self.of_digit[d] for d in digits]
        which = torch.randint(len(pools), (count,), generator=g).tolist()
        places = torch.rand(count, generator=g).tolist()
        index = torch.stack([pools[w][int(p * len(pools[w]))] for w, p in zip(which, places)])
        return index, pairs[torch.randint(len(pairs), (count,), generator=g)]

    def _few(self, count):
        """As _choose(), from three digits and four colours in any pairing."""
        g = self.generator
        colours = torch.randperm(len(COLOURS), generator=g)[:4]
        pairs = torch.cartesian_prod(colours, colours)
        return self._choose(count, torch.randperm(10, generator=g)[:3].tolist(), pairs[pairs[:, 0] != pairs[:, 1]])

    def _drawn(self, count):
        """Of `count` drawn images those that may be seen: index of the mask, and RGB [.., 2, 3]."""
        near = int(count * self.near_misses)
        parts = [self._choose(count - near, range(10), allowed_pairs().nonzero())]
        if near:
            parts.append(self._few(near))
        index, colours = (torch.cat(p) for p in zip(*parts))
        rgb = torch.stack([spread_colours(c, self.spread, self.between, self.generator) for c in colours.T], 1)
        if not self.without_held_out:
            return index, rgb
        nearest = name_colours(rgb, clear=1, reach=9)
        seen = ~held_out(self.digits[index], nearest[:, 0], nearest[:, 1])
        return index[seen], rgb[seen]

    def batch(self, count):
        g = self.generator
        index, rgb = (torch.cat(p)[:count] for p in zip(self._drawn(count), self._drawn(count)))
        masks = self.masks[index][:, None].float() / 255
        digit, thickness = self.digits[index].clone(), self.thickness[index].clone()
        smudged = int(len(index) * self.smudges)
        if smudged:
            chosen = torch.randperm(len(index), generator=g)[:smudged]
            masks[chosen] = overlay(masks[chosen], g)
            digit[chosen], thickness[chosen] = NONE, NONE
        hidden = (rgb[:, 0] - rgb[:, 1]).norm(dim=1) < VISIBLE
        digit[hidden], thickness[hidden] = NONE, NONE
        masks = blur(shift(masks, self.shifts, g), self.blurs, g)
        front, back = (rgb * 2 - 1).unbind(1)
        image = paint((masks[:, 0] * 255), front, back)
        level = torch.rand(len(index), 1, 1, 1, generator=g) * self.noise
        image = image + level * torch.randn(image.shape, generator=g)
        names = name_colours(rgb, clear=self.clear)
        return image, torch.stack([digit, names[:, 0], names[:, 1], thickness], 1)
