"""VGG16's second fully connected layer, for the precision and recall of Kynkäänniemi et al. 2019."""

from __future__ import annotations

import numpy as np
import torchvision
from torch import Tensor
from torch.nn import functional

from facebench.backbones.base import Image, load_strictly
from facebench.backbones.resize import IMAGENET_MEAN, IMAGENET_STD, tf1_bilinear, to_tensor
from facebench.backbones.torch_network import TorchBackbone, unfilled
from facebench.backbones.weights import Given

SIZE = 224


class Vgg16(TorchBackbone):
    """VGG16 of torchvision: `fc2` (n, 4096) before its ReLU and `fc2_relu` (n, 4096) after it.

    Two arrays, because they give two different metrics. The paper reads the activations, hence `fc2_relu`,
    which is torch-fidelity's default for precision and recall as well. Names, TF1 bilinear resize to 224 and
    ImageNet scaling are torch-fidelity's. The authors ran an NVIDIA copy of VGG16 in TensorFlow; its weights
    are not torchvision's, so values agree with torch-fidelity's, not digit by digit with the paper's.
    """

    arrays = ("fc2", "fc2_relu")
    preprocessing = "tf1-bilinear-224-imagenet-v1"

    def preprocess(self, image: Image) -> Tensor:
        """Resize and standardise with ImageNet's numbers; float32 (3, 224, 224)."""
        mean, std = (np.float32(np.multiply(v, 255)) for v in (IMAGENET_MEAN, IMAGENET_STD))
        return to_tensor((tf1_bilinear(image, SIZE) - mean) / std)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Give the second fully connected layer before and after its ReLU."""
        fc2 = self.network(batch)
        return {"fc2": fc2, "fc2_relu": functional.relu(fc2)}


def build(name: str, given: Given, device: str) -> Vgg16:
    """Build `vgg16` from torchvision's file; its last layer, the 1000 classes, is checked and then dropped.

    Raises:
        WeightsError: the weights are not those of torchvision's VGG16.
    """
    network = unfilled(torchvision.models.vgg16)
    load_strictly(network, given.state_dict(), name)
    network.classifier = network.classifier[:4]
    return Vgg16(name, network, given.used(), device)
