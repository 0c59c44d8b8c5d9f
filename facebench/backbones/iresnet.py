"""IResNet, the residual network of ArcFace and CR-FIQA, with insightface's parameter names.

Source: Duta et al. 2020, "Improved residual networks"; layout as in insightface's `arcface_torch`.
"""

from __future__ import annotations

from torch import Tensor, nn

from facebench.backbones.base import Image
from facebench.backbones.resize import standardise
from facebench.core.errors import InputError

DEPTHS = {
    "iresnet18": (2, 2, 2, 2),
    "iresnet50": (3, 4, 14, 3),
    "iresnet100": (3, 13, 30, 3),
}
EMBEDDING = 512


class IResNet(nn.Module):
    """Aligned faces (n, 3, size, size) to raw embeddings (n, embedding), not of unit norm.

    Args:
        depths: blocks of the four stages.
        width: channels of the first stage; each later stage has twice as many. 64 in every published model.
        size: pixels per side, 112 in every published model.
        embedding: length of the embeddings.
        dropout: share of the last map that is dropped in training.
    """

    def __init__(
        self,
        depths: tuple[int, int, int, int],
        *,
        width: int = 64,
        size: int = 112,
        embedding: int = EMBEDDING,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        left = -(-size // 16)  # every stage halves the map, rounding up
        self.conv1 = _conv3x3(3, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.prelu = nn.PReLU(width)
        self.layer1 = _stage(width, width, depths[0])
        self.layer2 = _stage(width, 2 * width, depths[1])
        self.layer3 = _stage(2 * width, 4 * width, depths[2])
        self.layer4 = _stage(4 * width, 8 * width, depths[3])
        self.bn2 = nn.BatchNorm2d(8 * width)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(8 * width * left * left, embedding)
        self.features = nn.BatchNorm1d(embedding)

    def forward(self, x: Tensor) -> Tensor:
        """Raw embeddings (n, embedding)."""
        x = self.prelu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        raw: Tensor = self.features(self.fc(self.dropout(self.bn2(x).flatten(1))))
        return raw


class Block(nn.Module):
    """Norm, 3x3, norm, PReLU, 3x3 with the stride, norm; plus the input or its 1x1 projection."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = _conv3x3(channels_in, channels)
        self.bn2 = nn.BatchNorm2d(channels)
        self.prelu = nn.PReLU(channels)
        self.conv2 = _conv3x3(channels, channels, stride)
        self.bn3 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module | None = None
        if stride != 1:
            projection = nn.Conv2d(channels_in, channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Same layout, channels and size as the stride says."""
        y = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        residual: Tensor = self.bn3(self.conv2(y))
        return residual + (x if self.downsample is None else self.downsample(x))


def face_input(image: Image, what: str) -> Tensor:
    """Scale an aligned face to [-1, 1]: (x / 255 - 0.5) / 0.5, channels in the given order.

    Raises:
        InputError: not an aligned 112 x 112 crop; resizing a photo instead still gives plausible numbers.
    """
    if image.shape != (112, 112, 3):
        raise InputError(
            f"{what} reads faces aligned to 112 x 112, not an image of shape {image.shape}. "
            "Align them first: facebench.backbones.face_detection.align."
        )
    return standardise(image, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def _stage(channels_in: int, channels: int, depth: int) -> nn.Sequential:
    """Halve the size in the first block, in every stage including the first."""
    blocks = [Block(channels_in, channels, stride=2)]
    blocks += [Block(channels, channels, stride=1) for _ in range(depth - 1)]
    return nn.Sequential(*blocks)


def _conv3x3(channels_in: int, channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
