"""FID Inception-v3 (TensorFlow graph of 2015-12-05) with three published preprocessings.

Measures: image content; FID, KID, precision and recall compare these features, the Inception Score the logits.
Input: whole image, RGB, resized to 299 x 299 without fixed aspect ratio, about [-1, 1].
    `inception-tf`: TF1 bilinear, (x - 128) / 128. `inception-clean`: Pillow bicubic in float, (x - 128) / 128.
    `inception-legacy`: PyTorch bilinear, 2 x / 255 - 1.
Arrays: `pool` (n, 2048), `logits` (n, 1008), `logits_unbiased` (n, 1008).
Licence: Apache-2.0.
Papers: Szegedy et al. 2016, "Rethinking the inception architecture for computer vision"; Heusel et al. 2017, "GANs
trained by a two time-scale update rule converge to a local Nash equilibrium"; `inception-clean` Parmar et al. 2022,
"On aliased resizing and surprising subtleties in GAN evaluation".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_fidelity.feature_extractor_inceptionv3 import (
    BasicConv2d,
    InceptionA,
    InceptionB,
    InceptionC,
    InceptionD,
    InceptionE_1,
    InceptionE_2,
)

from facebench.backbones.base import Image, WeightsUsed, load_strictly
from facebench.backbones.resize import pil_bicubic_float, tf1_bilinear, to_tensor, torch_bilinear
from facebench.backbones.torch_network import TorchBackbone, unfilled
from facebench.backbones.weights import WeightsSource

SIZE = 299


class FidInception(nn.Module):
    """Inception-v3 from the blocks of torch-fidelity, for resized and scaled inputs.

    Parameter names are those of the published file. torch-fidelity's own class resizes its input, and its
    constructor unpickles or downloads the weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = BasicConv2d(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = BasicConv2d(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = BasicConv2d(32, 64, kernel_size=3, padding=1)
        self.Conv2d_3b_1x1 = BasicConv2d(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = BasicConv2d(80, 192, kernel_size=3)
        self.Mixed_5b = InceptionA(192, pool_features=32)
        self.Mixed_5c = InceptionA(256, pool_features=64)
        self.Mixed_5d = InceptionA(288, pool_features=64)
        self.Mixed_6a = InceptionB(288)
        self.Mixed_6b = InceptionC(768, channels_7x7=128)
        self.Mixed_6c = InceptionC(768, channels_7x7=160)
        self.Mixed_6d = InceptionC(768, channels_7x7=160)
        self.Mixed_6e = InceptionC(768, channels_7x7=192)
        self.Mixed_7a = InceptionD(768)
        self.Mixed_7b = InceptionE_1(1280)
        self.Mixed_7c = InceptionE_2(2048)
        self.fc = nn.Linear(2048, 1008)

    def forward(self, x: Tensor) -> Tensor:
        """Compute pooled features (n, 2048) of inputs (n, 3, 299, 299) in [-1, 1]."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = functional.max_pool2d(x, kernel_size=3, stride=2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))
        x = functional.max_pool2d(x, kernel_size=3, stride=2)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return functional.adaptive_avg_pool2d(x, 1).flatten(1)


def preprocess_tf(image: Image) -> Tensor:
    """Resize like torch-fidelity and the original FID graph: TF1 bilinear, then (x - 128) / 128."""
    return to_tensor((tf1_bilinear(image, SIZE) - 128) / 128)


def preprocess_clean(image: Image) -> Tensor:
    """Resize like clean-fid's mode "clean": Pillow bicubic on float channels, then (x - 128) / 128."""
    resized = pil_bicubic_float(image, SIZE)
    resized -= 128
    resized *= 1 / 128
    return to_tensor(resized)


def preprocess_legacy(image: Image) -> Tensor:
    """Resize like pytorch-fid: x / 255, PyTorch bilinear, then 2 x - 1."""
    return 2 * torch_bilinear(image, SIZE) - 1


_PREPROCESSING: Mapping[str, tuple[str, Callable[[Image], Tensor]]] = {
    "inception-tf": ("tf1-bilinear-299-v1", preprocess_tf),
    "inception-clean": ("pil-bicubic-float-299-v1", preprocess_clean),
    "inception-legacy": ("torch-bilinear-299-v1", preprocess_legacy),
}


class Inception(TorchBackbone):
    """FID Inception-v3: `pool` (n, 2048), `logits` (n, 1008) and `logits_unbiased` (n, 1008).

    FID, KID, precision and recall use `pool`. `logits` include the bias of the last layer. `logits_unbiased`
    exclude it, as in the Inception Score of the TensorFlow code. The names are those of torch-fidelity.
    """

    arrays = ("pool", "logits", "logits_unbiased")
    network: FidInception

    def __init__(self, name: str, network: FidInception, weights: WeightsUsed, device: str) -> None:
        super().__init__(name, network, weights, device)
        self.preprocessing, self._prepare = _PREPROCESSING[name]

    def preprocess(self, image: Image) -> Tensor:
        """Resize and scale a uint8 RGB image to float32 (3, 299, 299), as the backbone's name states."""
        return self._prepare(image)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Compute pooled features and both kinds of logits."""
        pool = self.network(batch)
        unbiased = functional.linear(pool, self.network.fc.weight)
        return {"pool": pool, "logits": unbiased + self.network.fc.bias, "logits_unbiased": unbiased}


def _with_counters(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Add the batch counters that files of old PyTorch versions lack; evaluation does not use them."""
    norms = [key.removesuffix("running_var") for key in state if key.endswith(".bn.running_var")]
    return {f"{norm}num_batches_tracked": torch.tensor(0) for norm in norms} | dict(state)


def build(name: str, source: WeightsSource, device: str) -> Inception:
    """Build `inception-tf`, `inception-clean` or `inception-legacy`.

    Raises:
        WeightsError: the weights belong to another network, for example to torchvision's Inception-v3.
    """
    network = unfilled(FidInception)
    load_strictly(network, _with_counters(source.state_dict()), name)
    return Inception(name, network, source.used(), device)
