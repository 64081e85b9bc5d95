"""The text–image model: two towers that end in unit vectors of EMBEDDING numbers."""
import torch
import torch.nn.functional as F
from torch import nn

EMBEDDING = 64
WIDTH, HEADS, NEIGHBOURS = 64, 4, 2
ABSENT = -1e4  # added to the logarithm of an attention weight


class ImageTower(nn.Module):
    """Image [B, 3, 32, 32] in [-1, 1] to a unit vector [B, 64]. Smooth everywhere: samplers follow its gradient."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.SiLU(),
            nn.Conv2d(32, 64, 3, 2, 1), nn.BatchNorm2d(64), nn.SiLU(),
            nn.Conv2d(64, 96, 3, 2, 1), nn.BatchNorm2d(96), nn.SiLU(),
            nn.Flatten(), nn.Linear(96 * 16, 96), nn.BatchNorm1d(96), nn.SiLU(),
        )
        self.head = nn.Linear(96, EMBEDDING)
        # exp(inverse_temperature · cos) is the model's p(caption | image), up to a factor of the caption's own.
        self.register_buffer("inverse_temperature", torch.tensor(10.0))

    def forward(self, image):
        return F.normalize(self.head(self.features(image)), dim=1)


class TextTower(nn.Module):
    """Word numbers int64 [B, L], 0 where there is none, to a unit vector [B, 64].

    A word attends to the NEIGHBOURS words on either side and to nothing else, once. "On a blue background" then means
    the same whatever stands before it; attention over the whole caption learns instead that red and blue
    together are blue on red, if it never sees red on blue.
    """

    def __init__(self, words, length):
        super().__init__()
        self.word = nn.Embedding(words, WIDTH)
        self.before, self.between = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.queries, self.keys, self.values, self.join = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.dense = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.ReLU(), nn.Linear(4 * WIDTH, WIDTH))
        self.head = nn.Linear(WIDTH, EMBEDDING)
        place = torch.arange(length)
        offset = place - place[:, None]
        # One learnt number per head and offset; words that are too far away count nothing.
        self.bias = nn.Parameter(torch.zeros(HEADS, 2 * NEIGHBOURS + 1))
        self.register_buffer("offset", offset.clamp(-NEIGHBOURS, NEIGHBOURS) + NEIGHBOURS, persistent=False)
        self.register_buffer("far", (offset.abs() > NEIGHBOURS).float() * ABSENT, persistent=False)

    def forward(self, tokens):
        there = (tokens != 0).float()
        length = tokens.shape[1]
        x = self.word(tokens)
        y = self.before(x)
        q, k, v = (
            f(y).reshape(y.shape[0], y.shape[1], HEADS, WIDTH // HEADS).transpose(1, 2)
            for f in (self.queries, self.keys, self.values))
        bias = self.bias[:, self.offset[:length, :length]] + self.far[:length, :length]
        absent = ((1 - there) * ABSENT)[:, None, None, :]
        weights = (q @ k.transpose(2, 3) / (WIDTH // HEADS) ** 0.5 + bias + absent).softmax(3)
        x = x + self.join((weights @ v).transpose(1, 2).reshape(x.shape))
        x = x + self.dense(self.between(x))
        return F.normalize(self.head((x * there[:, :, None]).sum(1)), dim=1)
