"""The network of EmoNet: a landmark network whose heat map tells an emotion head where to look.

Source: Toisoul et al. 2021; landmark part after Bulat and Tzimiropoulos 2017, "How far are we from solving
the 2D & 3D face alignment problem?". Parameter names are the authors'.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

LANDMARKS = 68
WIDTH = 256
LEVELS = 4


class EmoNetNetwork(nn.Module):
    """RGB faces (n, 3, 256, 256) in [0, 1] to heat maps, expression logits, valence and arousal."""

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
        """Give `heatmap` (n, 68, 64, 64), `expression` (n, classes), `valence`, `arousal` (n,), all raw."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.conv4(self.conv3(functional.max_pool2d(self.conv2(x), 2)))
        seen, heatmap = self._look(x, 0)
        first = self.bl0(seen)
        second, heatmap = self._look(x + first + self.al0(heatmap), 1)
        # The last heat map, summed over the landmarks, is the attention.
        attended = torch.cat((first, second), dim=1) * heatmap.sum(dim=1, keepdim=True)
        y = self.emo_net_2(self.conv1x1_input_emo_2(torch.cat((x, attended), dim=1)))
        answers = self.emo_fc_2(functional.avg_pool2d(y, 4).flatten(1))
        return {
            "heatmap": heatmap,
            "expression": answers[:, :-2],
            "valence": answers[:, -2],
            "arousal": answers[:, -1],
        }

    def _look(self, x: Tensor, i: int) -> tuple[Tensor, Tensor]:
        """Features and landmark heat maps of hourglass i."""
        part = self.get_submodule
        y = part(f"conv_last{i}")(part(f"top_m_{i}")(part(f"m{i}")(x)))
        seen = functional.relu(part(f"bn_end{i}")(y))
        return seen, part(f"l{i}")(seen)


class Block(nn.Module):
    """Three 3x3 convolutions in a row, their outputs side by side, plus the input or its projection."""

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
        """Same size, other channels."""
        a = self.conv1(functional.relu(self.bn1(x)))
        b = self.conv2(functional.relu(self.bn2(a)))
        c = self.conv3(functional.relu(self.bn3(b)))
        return torch.cat((a, b, c), dim=1) + (x if self.downsample is None else self.downsample(x))


class Hourglass(nn.Module):
    """Four levels of halving and doubling, with a block across each level; names `b1_4` to `b3_1`."""

    def __init__(self) -> None:
        super().__init__()
        for level in range(1, LEVELS + 1):
            for part in ("b1", "b2", "b3"):
                self.add_module(f"{part}_{level}", Block(WIDTH, WIDTH))
        self.b2_plus_1 = Block(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        return self._level(x, LEVELS)

    def _level(self, x: Tensor, level: int) -> Tensor:
        part = self.get_submodule
        across: Tensor = part(f"b1_{level}")(x)
        low = part(f"b2_{level}")(functional.max_pool2d(x, 2))
        low = self._level(low, level - 1) if level > 1 else self.b2_plus_1(low)
        low = part(f"b3_{level}")(low)
        return across + functional.interpolate(low, scale_factor=2.0, mode="nearest")
