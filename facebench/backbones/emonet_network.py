"""Network of EmoNet: a landmark network whose heat maps are the attention of an emotion head.

Parameter names are those of the authors' code. See `emonet.py` for the licence of the weights.

Papers: Toisoul et al. 2021 (see `emonet.py`); landmark network after Bulat and Tzimiropoulos 2017, "How far are we
from solving the 2D & 3D face alignment problem?".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

LANDMARKS = 68
WIDTH = 256
LEVELS = 4


class EmoNetNetwork(nn.Module):
    """EmoNet: RGB faces (n, 3, 256, 256) in [0, 1] to heat maps, expression logits, valence and arousal."""

    def __init__(self, expressions: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.bn1 = nn.BatchNorm2d(64)
        self.conv2 = Block(64, 128)
        self.conv3 = Block(128, 128)
        self.conv4 = Block(128, WIDTH)
        for i in range(2):
            self.add_module(f"m{i}", Hourglass())
            self.add_module(f"top_m_{i}", Block(WIDTH, WIDTH))
            self.add_module(f"conv_last{i}", nn.Conv2d(WIDTH, WIDTH, 1))
            self.add_module(f"bn_end{i}", nn.BatchNorm2d(WIDTH))
            self.add_module(f"l{i}", nn.Conv2d(WIDTH, LANDMARKS, 1))
        self.bl0 = nn.Conv2d(WIDTH, WIDTH, 1)
        self.al0 = nn.Conv2d(LANDMARKS, WIDTH, 1)
        self.conv1x1_input_emo_2 = nn.Conv2d(3 * WIDTH, WIDTH, 1)
        blocks = [layer for _ in range(4) for layer in (Block(WIDTH, WIDTH), nn.MaxPool2d(2))]
        self.emo_net_2 = nn.Sequential(*blocks)
        self.emo_fc_2 = nn.Sequential(
            nn.Linear(WIDTH, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, expressions + 2)
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Compute `heatmap` (n, 68, 64, 64), `expression` (n, classes), `valence` and `arousal` (n,)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.conv4(self.conv3(functional.max_pool2d(self.conv2(x), 2)))
        features, heatmap = self._stack(x, 0)
        first = self.bl0(features)
        second, heatmap = self._stack(x + first + self.al0(heatmap), 1)
        # The last heat maps, summed over the landmarks, are the attention.
        attended = torch.cat((first, second), dim=1) * heatmap.sum(dim=1, keepdim=True)
        y = self.emo_net_2(self.conv1x1_input_emo_2(torch.cat((x, attended), dim=1)))
        outputs = self.emo_fc_2(functional.avg_pool2d(y, 4).flatten(1))
        return {
            "heatmap": heatmap,
            "expression": outputs[:, :-2],
            "valence": outputs[:, -2],
            "arousal": outputs[:, -1],
        }

    def _stack(self, x: Tensor, i: int) -> tuple[Tensor, Tensor]:
        """Compute features and landmark heat maps of hourglass i."""
        part = self.get_submodule
        y = part(f"conv_last{i}")(part(f"top_m_{i}")(part(f"m{i}")(x)))
        features = functional.relu(part(f"bn_end{i}")(y))
        return features, part(f"l{i}")(features)


class Block(nn.Module):
    """Residual block: three successive 3x3 convolutions with concatenated outputs, plus the shortcut."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels // 2, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels // 2)
        self.conv2 = nn.Conv2d(channels // 2, channels // 4, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels // 4)
        self.conv3 = nn.Conv2d(channels // 4, channels // 4, 3, padding=1, bias=False)
        self.downsample: nn.Module | None = None
        if channels_in != channels:
            self.downsample = nn.Sequential(
                nn.BatchNorm2d(channels_in), nn.ReLU(), nn.Conv2d(channels_in, channels, 1, bias=False)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Compute (n, channels, height, width) from (n, channels_in, height, width)."""
        a = self.conv1(functional.relu(self.bn1(x)))
        b = self.conv2(functional.relu(self.bn2(a)))
        c = self.conv3(functional.relu(self.bn3(b)))
        return torch.cat((a, b, c), dim=1) + (x if self.downsample is None else self.downsample(x))


class Hourglass(nn.Module):
    """Hourglass with four levels and a skip block at each level; names `b1_4` to `b3_1`."""

    def __init__(self) -> None:
        super().__init__()
        for level in range(1, LEVELS + 1):
            for part in ("b1", "b2", "b3"):
                self.add_module(f"{part}_{level}", Block(WIDTH, WIDTH))
        self.b2_plus_1 = Block(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Compute features of the same shape."""
        return self._level(x, LEVELS)

    def _level(self, x: Tensor, level: int) -> Tensor:
        part = self.get_submodule
        skip: Tensor = part(f"b1_{level}")(x)
        low = part(f"b2_{level}")(functional.max_pool2d(x, 2))
        low = self._level(low, level - 1) if level > 1 else self.b2_plus_1(low)
        low = part(f"b3_{level}")(low)
        return skip + functional.interpolate(low, scale_factor=2.0, mode="nearest")
