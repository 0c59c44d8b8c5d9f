"""FID Inception-v3 (the TensorFlow graph of 2015-12-05) under the three preprocessings of the literature."""

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
from facebench.backbones.weights import Given

SIZE = 299


class FidInception(nn.Module):
    """The trunk of torch-fidelity's network, from its own blocks, for inputs resized and scaled already.

    Parameter names are those of the published file. torch-fidelity's class itself is not used because it
    resizes inside, and because its constructor unpickles the weights file or downloads one.
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
        """Give the 2048 pooled features of inputs (n, 3, 299, 299) in [-1, 1]."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = functional.max_pool2d(x, kernel_size=3, stride=2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))
        x = functional.max_pool2d(x, kernel_size=3, stride=2)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return functional.adaptive_avg_pool2d(x, 1).flatten(1)


def preprocess_tf(image: Image) -> Tensor:
    """Prepare as torch-fidelity and the original FID graph: TF1 bilinear to 299, then (x - 128) / 128."""
    return to_tensor((tf1_bilinear(image, SIZE) - 128) / 128)


def preprocess_clean(image: Image) -> Tensor:
    """Prepare as clean-fid's mode "clean": Pillow bicubic on float channels to 299, then (x - 128) / 128."""
    return to_tensor((pil_bicubic_float(image, SIZE) - 128) / 128)


def preprocess_legacy(image: Image) -> Tensor:
    """Prepare as pytorch-fid: x / 255, PyTorch bilinear to 299, then 2x - 1."""
    return 2 * torch_bilinear(image, SIZE) - 1


_PREPROCESSING: Mapping[str, tuple[str, Callable[[Image], Tensor]]] = {
    "inception-tf": ("tf1-bilinear-299-v1", preprocess_tf),
    "inception-clean": ("pil-bicubic-float-299-v1", preprocess_clean),
    "inception-legacy": ("torch-bilinear-299-v1", preprocess_legacy),
}


class Inception(TorchBackbone):
    """FID Inception-v3: `pool` (n, 2048), `logits` (n, 1008) and `logits_unbiased` (n, 1008).

    `logits` are fc's output with its bias; `logits_unbiased` leave the bias out, which is what the Inception
    Score of the TensorFlow code reads. The names are torch-fidelity's. FID, KID, precision and recall read
    `pool`.
    """

    arrays = ("pool", "logits", "logits_unbiased")
    network: FidInception

    def __init__(self, name: str, network: FidInception, weights: WeightsUsed, device: str) -> None:
        super().__init__(name, network, weights, device)
        self.preprocessing, self._prepare = _PREPROCESSING[name]

    def preprocess(self, image: Image) -> Tensor:
        """Resize to 299x299 and scale, as the backbone's name says; float32 (3, 299, 299)."""
        return self._prepare(image)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Give the pooled features and both kinds of logits."""
        pool = self.network(batch)
        unbiased = functional.linear(pool, self.network.fc.weight)
        return {"pool": pool, "logits": unbiased + self.network.fc.bias, "logits_unbiased": unbiased}


def _with_counters(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Add the batch counters of the norms where the file is older than them; evaluation never reads them."""
    norms = [key.removesuffix("running_var") for key in state if key.endswith(".bn.running_var")]
    return {f"{norm}num_batches_tracked": torch.tensor(0) for norm in norms} | dict(state)


def build(name: str, given: Given, device: str) -> Inception:
    """Build `inception-tf`, `inception-clean` or `inception-legacy`.

    Raises:
        WeightsError: the weights are not those of the FID Inception-v3, for instance torchvision's.
    """
    network = unfilled(FidInception)
    load_strictly(network, _with_counters(given.state_dict()), name)
    return Inception(name, network, given.used(), device)
