"""The networks: three that ship (classifier, VAE decoder, GAN generator) and two that only teach them."""
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrize import register_parametrization

from data import PALETTE

GAN_LATENT = 64
VAE_LATENT = 32
COLOUR_LATENT = 12  # the last of the latents choose colours, the others shape the stroke


def blend(stroke, colours):
    """Image [B, 3, 32, 32]: the first of colours [B, 2, 3] where the stroke [B, 1, 32, 32] lies, else the second."""
    front, back = colours[..., None, None].unbind(1)
    return back + stroke * (front - back)


class Classifier(nn.Module):
    """Image [B, 3, 32, 32] to logits [B, 10]; the last Linear reads 64 features."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.AvgPool2d(2),
            nn.Flatten(), nn.Linear(1024, 64), nn.BatchNorm1d(64), nn.ReLU(),
        )
        self.head = nn.Linear(64, 10)

    def forward(self, image):
        return self.head(self.features(image))


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return x + F.elu(self.conv(x))


class Colours(nn.Module):
    """Latent [B, 12] to a stroke and a background colour [B, 2, 3]: a soft choice from a palette, shaded."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(COLOUR_LATENT, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2),
        )
        self.choice = nn.Linear(64, 2 * len(PALETTE))
        self.shade = nn.Linear(64, 6)
        self.palette = nn.Parameter(torch.tensor(list(PALETTE.values())) * 2 - 1)

    def forward(self, z):
        x = self.body(z)
        weights = (4 * self.choice(x)).reshape(-1, 2, len(PALETTE)).softmax(-1)
        shade = 0.1 * self.shade(x).tanh().reshape(-1, 2, 3)
        return (weights @ self.palette + shade).clamp(-1, 1)


class Coupling(nn.Module):
    """One affine coupling: (a, b) to (b scaled and shifted as a says, a)."""

    def __init__(self, half, hidden=96):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(half, hidden), nn.ELU(), nn.Linear(hidden, hidden), nn.ELU(), nn.Linear(hidden, 2 * half),
        )
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def scale_shift(self, a):
        scale, shift = self.net(a).split(a.shape[1], 1)
        return 1.5 * scale.tanh(), shift

    def forward(self, a, b):
        scale, shift = self.scale_shift(a)
        return b * scale.exp() + shift, a

    def inverse(self, b, a):
        """The arguments that gave (b, a), and the log-determinant of this inverse."""
        scale, shift = self.scale_shift(a)
        return a, (b - shift) * (-scale).exp(), -scale.sum(1)


class Flow(nn.Module):
    """N(0, I) to where the VAE's posteriors really lie: eight affine couplings (Real NVP)."""

    def __init__(self, width):
        super().__init__()
        self.couplings = nn.ModuleList(Coupling(width // 2) for _ in range(8))

    def forward(self, z):
        a, b = z.split(z.shape[1] // 2, 1)
        for coupling in self.couplings:
            a, b = coupling(a, b)
        return torch.cat([a, b], 1)

    def negative_log_likelihood(self, w):
        """Of each row of w, up to a constant."""
        a, b = w.chunk(2, 1)
        total = 0
        for coupling in reversed(self.couplings):
            a, b, log_determinant = coupling.inverse(a, b)
            total = total - log_determinant
        return total + 0.5 * (a.square().sum(1) + b.square().sum(1))


class VaeEncoder(nn.Module):
    """Stroke coverage [B, 1, 32, 32] to the mean and log-variance [B, 20] of q(shape | stroke); training only."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 24, 4, 2, 1), nn.ELU(),
            nn.Conv2d(24, 48, 4, 2, 1), nn.ELU(),
            nn.Conv2d(48, 64, 4, 2, 1), nn.ELU(),
            nn.Flatten(), nn.Linear(1024, 256), nn.ELU(), nn.Linear(256, 2 * (VAE_LATENT - COLOUR_LATENT)),
        )

    def forward(self, stroke):
        return self.body(stroke).chunk(2, 1)


class VaeDecoder(nn.Module):
    """Latent [B, 32] to image [B, 3, 32, 32]: the first 20 shape the stroke, the last 12 choose its colours.

    A flow, dense layers, a residual block, nearest resize, convolutions, pixel shuffle.
    """

    def __init__(self):
        super().__init__()
        self.dense = nn.Sequential(
            nn.Linear(VAE_LATENT - COLOUR_LATENT, 256), nn.ELU(), nn.Linear(256, 32 * 8 * 8), nn.ELU(),
        )
        self.stroke = nn.Sequential(
            Residual(32), nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(32, 32, 3, padding=1), nn.ELU(),
            nn.Conv2d(32, 4, 3, padding=1), nn.PixelShuffle(2),
        )
        self.colours = Colours()
        self.flow = Flow(VAE_LATENT - COLOUR_LATENT)

    def draw(self, shape):
        """Logits of the stroke coverage [B, 1, 32, 32]."""
        return self.stroke(self.dense(shape).reshape(-1, 32, 8, 8))

    def forward(self, z):
        shape, colour = z.split([VAE_LATENT - COLOUR_LATENT, COLOUR_LATENT], 1)
        return blend(self.draw(self.flow(shape)).sigmoid(), self.colours(colour))


class Upconv(nn.ConvTranspose2d):
    """ConvTranspose2d 4x4, stride 2, padding 1.

    While training it computes the same map as one 2x2 convolution with four times the channels, whose
    outputs are interleaved: PyTorch's own transposed convolution is some ten times slower on a CPU.
    """

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs, 4, 2, 1)

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        b, _, h, w = x.shape
        # Output 2j takes taps 3, 1 of inputs j-1, j; output 2j+1 takes taps 2, 0 of inputs j, j+1.
        taps = self.weight[:, :, [3, 1, 2, 0]][:, :, :, [3, 1, 2, 0]]
        taps = taps.reshape(self.in_channels, self.out_channels, 2, 2, 2, 2)
        kernel = taps.permute(2, 4, 1, 0, 3, 5).reshape(-1, self.in_channels, 2, 2)
        windows = F.conv2d(x, kernel, padding=1).view(b, 2, 2, self.out_channels, h + 1, w + 1)
        rows = [[windows[:, i, j, :, i:i + h, j:j + w] for j in (0, 1)] for i in (0, 1)]
        out = torch.stack([torch.stack(row, -1) for row in rows], 3)
        return out.reshape(b, self.out_channels, 2 * h, 2 * w) + self.bias[:, None, None]


class GanGenerator(nn.Module):
    """Latent [B, 64] to image [B, 3, 32, 32]: where the stroke lies, and a colour on either side of it.

    The first 52 latents shape the stroke, the last 12 choose the two colours.
    """

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(GAN_LATENT - COLOUR_LATENT, 96 * 4 * 4, bias=False)
        self.stroke = nn.Sequential(
            nn.BatchNorm2d(96), nn.ReLU(),
            Upconv(96, 48), nn.BatchNorm2d(48), nn.ReLU(),
            Upconv(48, 24), nn.BatchNorm2d(24), nn.ReLU(),
            Upconv(24, 1), nn.Sigmoid(),
        )
        self.colours = Colours()

    def draw(self, shape):
        """Stroke coverage [B, 1, 32, 32] from the shape latents."""
        return self.stroke(self.stem(shape).reshape(-1, 96, 4, 4))

    def forward(self, z):
        shape, colour = z.split([GAN_LATENT - COLOUR_LATENT, COLOUR_LATENT], 1)
        return blend(self.draw(shape), self.colours(colour))


class Spectral(nn.Module):
    """Parametrisation of a weight: its largest singular value becomes 1.5 (one power iteration a call)."""

    def __init__(self, weight):
        super().__init__()
        self.register_buffer("u", F.normalize(torch.randn(len(weight), 1), dim=0))

    def forward(self, weight):
        matrix = weight.flatten(1)
        with torch.no_grad():
            v = F.normalize(matrix.T @ self.u, dim=0)
            self.u = F.normalize(matrix @ v, dim=0)
        return weight * (1.5 / (self.u.T @ matrix @ v))


def spectral(layer):
    register_parametrization(layer, "weight", Spectral(layer.weight))
    return layer


class Critic(nn.Module):
    """Stroke coverage to a realness score [B]; sees the spread of each 8 neighbours, so that a collapse shows."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            spectral(nn.Conv2d(1, 32, 4, 2, 1)), nn.LeakyReLU(0.2),
            spectral(nn.Conv2d(32, 64, 4, 2, 1)), nn.LeakyReLU(0.2),
            spectral(nn.Conv2d(64, 96, 4, 2, 1)), nn.LeakyReLU(0.2),
        )
        self.mix = nn.Sequential(spectral(nn.Linear(97 * 16, 128)), nn.LeakyReLU(0.2), spectral(nn.Linear(128, 1)))

    def forward(self, stroke):
        x = self.body(stroke)
        groups = x.view(-1, 8, *x.shape[1:])
        spread = (groups.var(1, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
        spread = spread.repeat_interleave(8).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
        return self.mix(torch.cat([x, spread], 1).flatten(1))[:, 0]
