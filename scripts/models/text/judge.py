"""The attribute classifier that judges samples: another architecture than the image tower, never told of it."""
import torch.nn.functional as F
from torch import nn

from text.attributes import KINDS, VALUES


class Block(nn.Module):
    """Two 3x3 convolutions beside a 1x1 one; halves the size."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs),
        )
        self.beside = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x):
        return F.max_pool2d(F.relu(self.body(x) + self.beside(x)), 2)


class AttributeClassifier(nn.Module):
    """Image [B, 3, 32, 32] in [-1, 1] to logits, one tensor for each of KINDS: 10 digits, 8, 8 colours, 3 widths."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 5, 2, 2), nn.ReLU(), Block(16, 24), Block(24, 48), nn.Flatten(),
            nn.Linear(768, 128), nn.ReLU(),
        )
        self.heads = nn.ModuleList(nn.Linear(128, len(VALUES[kind])) for kind in KINDS)

    def forward(self, image):
        features = self.body(image)
        return tuple(head(features) for head in self.heads)
