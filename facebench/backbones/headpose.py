"""6DRepNet: head pose.

Measures: rotation of the head as yaw, pitch and roll in degrees; trained on 300W-LP.
Input: crop `face224`, RGB, Pillow bilinear to a shorter side of 224, central 224 x 224, ImageNet mean and deviation.
Arrays: `yaw` (n,), `pitch` (n,), `roll` (n,).
Licence: MIT.
Papers: Hempel et al. 2022, "6D rotation representation for unconstrained head pose estimation"; network Ding et al.
2021, "RepVGG: Making VGG-style ConvNets great again".
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from PIL import Image as PillowImage
from torch import Tensor, nn
from torch.nn import functional

from facebench.backbones.base import Crop, Image, load_strictly
from facebench.backbones.resize import IMAGENET_MEAN, IMAGENET_STD, standardise
from facebench.backbones.torch_network import TorchBackbone, unfilled
from facebench.backbones.weights import WeightsSource

SIZE = 224
BORDER = 30
"""Width in pixels of the black border that ID-Booth adds."""
STAGES = ((128, 4), (256, 6), (512, 16), (2048, 1))
"""RepVGG-B1g2: channels and blocks of the four stages after the first block."""


class SixDRepNet(nn.Module):
    """RepVGG-B1g2 with six outputs: (n, 3, 224, 224) to rotation matrices (n, 3, 3).

    Args:
        merged: whether each block is one convolution, as in the published file. Training uses three branches.
    """

    def __init__(self, merged: bool) -> None:
        super().__init__()
        self.layer0: nn.Module = _block(merged, 3, 64, stride=2, groups=1)
        channels, index = 64, 0
        for number, (wide, depth) in enumerate(STAGES, start=1):
            blocks = []
            for position in range(depth):
                index += 1
                # "g2": every second block after the first has two groups.
                groups = 2 if index % 2 == 0 else 1
                blocks.append(_block(merged, channels, wide, stride=1 if position else 2, groups=groups))
                channels = wide
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
        self.linear_reg = nn.Linear(channels, 6)

    def forward(self, x: Tensor) -> Tensor:
        """Compute rotation matrices (n, 3, 3)."""
        return rotation(self.six(x))

    def six(self, x: Tensor) -> Tensor:
        """Compute the 6D representation of rotations (n, 6)."""
        for number in range(5):
            x = self.get_submodule(f"layer{number}")(x)
        six: Tensor = self.linear_reg(x.mean(dim=(2, 3)))
        return six


class MergedBlock(nn.Module):
    """RepVGG block for inference: 3x3 convolution with bias, ReLU."""

    def __init__(self, channels_in: int, channels: int, stride: int, groups: int) -> None:
        super().__init__()
        self.rbr_reparam = nn.Conv2d(channels_in, channels, 3, stride, padding=1, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """Compute (n, channels, height, width)."""
        return functional.relu(self.rbr_reparam(x))


class BranchedBlock(nn.Module):
    """RepVGG block for training: sum of 3x3, 1x1 and, for equal shapes, identity branches with batch norm."""

    def __init__(self, channels_in: int, channels: int, stride: int, groups: int) -> None:
        super().__init__()
        self.rbr_dense = _conv_bn(channels_in, channels, 3, stride, groups)
        self.rbr_1x1 = _conv_bn(channels_in, channels, 1, stride, groups)
        same = channels_in == channels and stride == 1
        self.rbr_identity = nn.BatchNorm2d(channels_in) if same else None

    def forward(self, x: Tensor) -> Tensor:
        """Compute (n, channels, height, width)."""
        total: Tensor = self.rbr_dense(x) + self.rbr_1x1(x)
        return functional.relu(total if self.rbr_identity is None else total + self.rbr_identity(x))


def _block(merged: bool, channels_in: int, channels: int, *, stride: int, groups: int) -> nn.Module:
    return (MergedBlock if merged else BranchedBlock)(channels_in, channels, stride, groups)


def _conv_bn(channels_in: int, channels: int, size: int, stride: int, groups: int) -> nn.Sequential:
    layers = nn.Sequential()
    layers.add_module(
        "conv", nn.Conv2d(channels_in, channels, size, stride, padding=size // 2, groups=groups, bias=False)
    )
    layers.add_module("bn", nn.BatchNorm2d(channels))
    return layers


def rotation(six: Tensor) -> Tensor:
    """Convert two vectors of three numbers (n, 6) to rotation matrices (n, 3, 3) by Gram-Schmidt.

    Paper: Zhou et al. 2019, "On the continuity of rotation representations in neural networks".
    """
    x = functional.normalize(six[:, :3], dim=1, eps=1e-8)
    z = functional.normalize(torch.cross(x, six[:, 3:], dim=1), dim=1, eps=1e-8)
    return torch.stack((x, torch.cross(z, x, dim=1), z), dim=2)


def euler_degrees(matrix: Tensor) -> dict[str, Tensor]:
    """Compute the angles of R = Rz(roll) · Ry(yaw) · Rx(pitch) in degrees, each (n,).

    Yaw is in [-90, 90]. At its limits (gimbal lock) roll is 0 and pitch contains both rotations.

    Example:
        >>> quarter_turn = torch.tensor([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]])
        >>> euler_degrees(quarter_turn)["roll"]
        tensor([90.])
    """
    r = matrix
    cos_yaw = torch.hypot(r[:, 0, 0], r[:, 1, 0])
    locked = cos_yaw < 1e-6
    yaw = torch.atan2(-r[:, 2, 0], cos_yaw)
    pitch = torch.where(locked, torch.atan2(-r[:, 1, 2], r[:, 1, 1]), torch.atan2(r[:, 2, 1], r[:, 2, 2]))
    roll = torch.where(locked, 0.0, torch.atan2(r[:, 1, 0], r[:, 0, 0]))
    return {"yaw": yaw.rad2deg(), "pitch": pitch.rad2deg(), "roll": roll.rad2deg()}


class HeadPose(TorchBackbone):
    """6DRepNet's head pose: `yaw`, `pitch`, `roll` (n,), in degrees.

    The authors' demo enlarges a detector's box by a fifth of its sides on each side. `face224`, DECA's square, is
    close to it and avoids a second crop. Aligned faces are unsuitable, because alignment removes the roll.

    The published file (merged convolutions) and training checkpoints (entry "model_state_dict", three branches per
    block) are accepted; parameter names tell them apart.
    """

    crop: ClassVar[Crop] = "face224"
    preprocessing = "face224-pil-bilinear-224-imagenet-v1"
    arrays = ("yaw", "pitch", "roll")

    def preprocess(self, image: Image) -> Tensor:
        """Resize and crop a uint8 RGB face of any size to float32 (3, 224, 224)."""
        return standardise(_shorter_side_and_centre(image), IMAGENET_MEAN, IMAGENET_STD)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Compute the angles in degrees."""
        return euler_degrees(self.network(batch))


class HeadPoseIdBooth(HeadPose):
    """6DRepNet on the whole image with a black border of 30 pixels, like the released evaluation of ID-Booth.

    For comparison with its numbers only, because the network was trained on face crops. See `HeadPose`.
    """

    crop = "image"
    preprocessing = "image-border-30-pil-bilinear-224-imagenet-v1"

    def preprocess(self, image: Image) -> Tensor:
        """Add the border to a uint8 RGB image of any size, then convert like `HeadPose.preprocess`."""
        return super().preprocess(np.pad(image, ((BORDER, BORDER), (BORDER, BORDER), (0, 0))))


def _shorter_side_and_centre(image: Image) -> Image:
    """Resize the shorter side to 224 and crop the centre, like torchvision's Resize and CenterCrop."""
    height, width = image.shape[:2]
    shorter = min(height, width)
    high, wide = int(SIZE * height / shorter), int(SIZE * width / shorter)
    resized = PillowImage.fromarray(image).resize((wide, high), PillowImage.Resampling.BILINEAR)
    top, left = round((high - SIZE) / 2), round((wide - SIZE) / 2)
    return np.asarray(resized)[top : top + SIZE, left : left + SIZE]


def build(name: str, source: WeightsSource, device: str) -> HeadPose:
    """Build `headpose` or `headpose-id-booth`.

    Raises:
        WeightsError: the weights belong to another network than 6DRepNet.
    """
    state = source.state_dict(entry="model_state_dict")
    merged = not any(".rbr_dense." in key for key in state)
    network = unfilled(lambda: SixDRepNet(merged))
    load_strictly(network, state, name)
    kind = HeadPoseIdBooth if name == "headpose-id-booth" else HeadPose
    return kind(name, network, source.used(), device)
