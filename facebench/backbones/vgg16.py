"""VGG16: second fully connected layer, for precision and recall.

Measures: image content; improved precision and recall compare these features.
Input: whole image, TF1 bilinear to 224 x 224 without fixed aspect ratio, RGB, ImageNet mean and deviation.
Arrays: `fc2` (n, 4096) before the ReLU, `fc2_relu` (n, 4096) after it.
Licence: BSD-3-Clause (torchvision).
Papers: Simonyan and Zisserman 2015, "Very deep convolutional networks for large-scale image recognition"; Kynkäänniemi
et al. 2019, "Improved precision and recall metric for assessing generative models".
"""

from __future__ import annotations

import numpy as np
import torchvision
from torch import Tensor
from torch.nn import functional

from facebench.backbones.base import Image, load_strictly
from facebench.backbones.resize import IMAGENET_MEAN, IMAGENET_STD, tf1_bilinear, to_tensor
from facebench.backbones.torch_network import TorchBackbone, unfilled
from facebench.backbones.weights import WeightsSource

SIZE = 224


class Vgg16(TorchBackbone):
    """VGG16 of torchvision: `fc2` (n, 4096) before the ReLU and `fc2_relu` (n, 4096) after it.

    The two arrays give different metrics. The paper and the default of torch-fidelity use `fc2_relu`. Names,
    resize and scaling are those of torch-fidelity. The authors of the paper used other weights in TensorFlow, so
    values agree with torch-fidelity, but not exactly with the paper.
    """

    arrays = ("fc2", "fc2_relu")
    preprocessing = "tf1-bilinear-224-imagenet-v1"

    def preprocess(self, image: Image) -> Tensor:
        """Resize and standardise a uint8 RGB image to float32 (3, 224, 224)."""
        mean, std = (np.float32(np.multiply(v, 255)) for v in (IMAGENET_MEAN, IMAGENET_STD))
        return to_tensor((tf1_bilinear(image, SIZE) - mean) / std)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Compute the second fully connected layer before and after its ReLU."""
        fc2 = self.network(batch)
        return {"fc2": fc2, "fc2_relu": functional.relu(fc2)}


def build(name: str, source: WeightsSource, device: str) -> Vgg16:
    """Build `vgg16` from torchvision's file; the last layer (1000 classes) is checked and dropped.

    Raises:
        WeightsError: the weights belong to another network than torchvision's VGG16.
    """
    network = unfilled(torchvision.models.vgg16)
    load_strictly(network, source.state_dict(), name)
    network.classifier = network.classifier[:4]
    return Vgg16(name, network, source.used(), device)
