"""LPIPS (AlexNet, version 0.1): how far an edit is from its source as people see it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
import torchvision
from torch import Tensor, nn

from facebench.backbones.base import Image, load_strictly
from facebench.backbones.resize import pil_bicubic, to_tensor
from facebench.backbones.torch_network import TorchBackbone, unfilled
from facebench.backbones.weights import Given

SIZE = 256
CHANNELS = (64, 192, 384, 256, 256)
LAST_OF_STAGE = (1, 4, 7, 9, 11)
"""The five ReLUs of AlexNet whose outputs are compared."""
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""ImageNet's mean and standard deviation for inputs in [-1, 1], with the digits of the published code."""


class _ChannelWeights(nn.Module):
    """One non-negative weight per channel, under the published name `model.1.weight`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Dropout(), nn.Conv2d(channels, 1, 1, bias=False))


class LpipsAlex(nn.Module):
    """Zhang et al. 2018, "The unreasonable effectiveness of deep features as a perceptual metric", eq. 1.

    Parameter names are those of the two official files: `features.*` of torchvision's AlexNet and `lin*` of
    the `lpips` package.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = torchvision.models.alexnet().features
        for stage, channels in enumerate(CHANNELS):
            self.add_module(f"lin{stage}", _ChannelWeights(channels))

    def forward(self, generated: Tensor, source: Tensor) -> Tensor:
        """Distance of each pair; inputs (n, 3, height, width) in [-1, 1], output (n,)."""
        distance = torch.zeros(len(generated), device=generated.device)
        stages = zip(self._stages(generated), self._stages(source), strict=True)
        for stage, (left, right) in enumerate(stages):
            weight = self.get_parameter(f"lin{stage}.model.1.weight")
            difference = (_unit(left) - _unit(right)).square()
            distance = distance + nn.functional.conv2d(difference, weight).mean(dim=(1, 2, 3))
        return distance

    def _stages(self, x: Tensor) -> list[Tensor]:
        x = (x - x.new_tensor(SHIFT).view(3, 1, 1)) / x.new_tensor(SCALE).view(3, 1, 1)
        outputs = []
        for index, layer in enumerate(self.features[: LAST_OF_STAGE[-1] + 1]):
            x = layer(x)
            if index in LAST_OF_STAGE:
                # The next ReLU works in place on its own input, never on this output: a convolution or a
                # pooling stands between.
                outputs.append(x)
        return outputs


def _unit(features: Tensor) -> Tensor:
    # 1e-10 is part of the published definition: all-zero columns stay zero.
    length: Tensor = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    return features / (length + 1e-10)


class Lpips(TorchBackbone):
    """LPIPS of pairs: `distance` (n,), 0 for equal images; lower is nearer.

    A pair is one row: `embed` takes (n, 2, 3, 256, 256), the generated image first and its source second,
    each as `preprocess` gives it. Images of another size are squeezed to 256x256 (Pillow bicubic,
    antialiased); LPIPS depends on the size, so the size belongs to the number.
    """

    arrays = ("distance",)
    preprocessing = "pil-bicubic-256-lpips-v1"

    def preprocess(self, image: Image) -> Tensor:
        """Resize and scale to [-1, 1]; float32 (3, 256, 256)."""
        return to_tensor(pil_bicubic(image, SIZE).astype("float32") / 127.5 - 1)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Give the distance between the two images of each row."""
        return {"distance": self.network(batch[:, 0], batch[:, 1])}


def build(name: str, given: Given, device: str) -> Lpips:
    """Build `lpips` from torchvision's AlexNet and the weights of the `lpips` package, together.

    The state dict of the package's own `LPIPS(net="alex")` is taken as well.

    Raises:
        WeightsError: the weights are not those of LPIPS with AlexNet.
    """
    network = unfilled(LpipsAlex)
    load_strictly(network, _official(given.state_dict()), name)
    return Lpips(name, network, given.used(), device)


def _official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Use AlexNet's own names, without its classifier and without the copies that `lpips.LPIPS` saves."""
    kept = {k: v for k, v in state.items() if not k.startswith(("classifier.", "lins.", "scaling_layer."))}
    return {re.sub(r"^net\.slice\d\.", "features.", key): value for key, value in kept.items()}
