"""IResNet: the residual network of ArcFace and CR-FIQA.

Layout and parameter names are those of insightface's `arcface_torch`. Input is an aligned RGB face in [-1, 1].

Paper: Duta et al. 2020, "Improved residual networks for image and video recognition".
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
"""Number of blocks in the four stages."""
EMBEDDING = 512


class IResNet(nn.Module):
    """IResNet: aligned faces (n, 3, size, size) to raw embeddings (n, embedding), not of unit length.

    Args:
        depths: number of blocks in the four stages.
        width: channels of the first stage, doubled in each later stage; 64 in all published models.
        size: side of the input in pixels; 112 in all published models.
        embedding: length of the embeddings.
        dropout: dropout rate of the last feature map in training.
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
        side = -(-size // 16)  # four stages halve the side and round up
        self.conv1 = _conv3x3(3, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.prelu = nn.PReLU(width)
        self.layer1 = _stage(width, width, depths[0])
        self.layer2 = _stage(width, 2 * width, depths[1])
        self.layer3 = _stage(2 * width, 4 * width, depths[2])
        self.layer4 = _stage(4 * width, 8 * width, depths[3])
        self.bn2 = nn.BatchNorm2d(8 * width)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(8 * width * side * side, embedding)
        self.features = nn.BatchNorm1d(embedding)

    def forward(self, x: Tensor) -> Tensor:
        """Compute raw embeddings (n, embedding)."""
        x = self.prelu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        raw: Tensor = self.features(self.fc(self.dropout(self.bn2(x).flatten(1))))
        return raw


class Block(nn.Module):
    """Residual block: norm, 3x3, norm, PReLU, strided 3x3, norm; 1x1 projection as shortcut when strided."""

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
        """Compute (n, channels, height / stride, width / stride)."""
        y = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        residual: Tensor = self.bn3(self.conv2(y))
        return residual + (x if self.downsample is None else self.downsample(x))


def face_input(image: Image, what: str) -> Tensor:
    """Scale an aligned face to [-1, 1]: (x / 255 - 0.5) / 0.5, with channels in the given order.

    Args:
        image: uint8 (112, 112, 3).
        what: name of the backbone for the error message.

    Raises:
        InputError: the image has another size. A resized photo would give plausible but wrong numbers.
    """
    if image.shape != (112, 112, 3):
        raise InputError(
            f"{what} needs a face aligned to 112 x 112, not an image of shape {image.shape}. "
            "Align it first: facebench.backbones.face_detection.align."
        )
    return standardise(image, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def _stage(channels_in: int, channels: int, depth: int) -> nn.Sequential:
    """Build a stage whose first block halves the size."""
    blocks = [Block(channels_in, channels, stride=2)]
    blocks += [Block(channels, channels, stride=1) for _ in range(depth - 1)]
    return nn.Sequential(*blocks)


def _conv3x3(channels_in: int, channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
