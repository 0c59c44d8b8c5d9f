"""EmoNet: valence, arousal and expression of a face.

Measures: valence and arousal, nominally in [-1, 1], and 8 or 5 expression classes.
Input: crop `face256` without alignment, RGB, OpenCV bilinear to 256 x 256, [0, 1], without mean or deviation.
Arrays: `valence` (n,), `arousal` (n,), `expression` logits (n, 8) or (n, 5).
Licence: CC BY-NC-ND 4.0, code and weights.
Paper: Toisoul et al. 2021, "Estimation of continuous valence and arousal levels from faces in naturalistic
conditions", Nature Machine Intelligence.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from facebench.backbones.base import Image, load_strictly
from facebench.backbones.crops import stretched
from facebench.backbones.emonet_network import EmoNetNetwork
from facebench.backbones.resize import standardise
from facebench.backbones.torch_network import TorchBackbone, exact_float32, unfilled
from facebench.backbones.weights import WeightsSource

SIZE = 256
EXPRESSIONS: Mapping[int, tuple[str, ...]] = {
    8: ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt"),
    # The fifth class is anger in the authors' data code; their demo prints "Fear".
    5: ("neutral", "happy", "sad", "surprise", "anger"),
}


class EmoNet(TorchBackbone):
    """EmoNet: `valence`, `arousal` (n,) and `expression` logits (n, 8 or 5), the raw outputs of the network.

    The network does not bound valence and arousal; `emonet-8` and `emonet-5` return them unclipped.
    `emonet-8-flip` and `emonet-5-flip` follow the published evaluation: mean with the mirrored image, then
    clipped. `expressions` names the columns.

    Valence and arousal depend on the crop: crop an edited image with the box of its source.
    """

    crop = "face256"
    preprocessing = "face256-cv2-bilinear-256-rgb-v1"
    arrays = ("valence", "arousal", "expression")

    @property
    def expressions(self) -> tuple[str, ...]:
        """Names of the columns of `expression`."""
        return EXPRESSIONS[_classes(self.name)]

    def preprocess(self, image: Image) -> Tensor:
        """Resize a uint8 RGB face to float32 (3, 256, 256) in [0, 1], without fixed aspect ratio."""
        return standardise(stretched(image, SIZE), (0.0,) * 3, (1.0,) * 3)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Compute valence, arousal and expression logits."""
        outputs = self.network(batch)
        return {name: outputs[name] for name in self.arrays}

    def heatmaps(self, batch: Tensor) -> npt.NDArray[np.float32]:
        """Compute heat maps of 68 face landmarks, float32 (n, 68, 64, 64), at a quarter of the input size."""
        with exact_float32(), torch.inference_mode():
            maps: Tensor = self.network(batch.to(self.device))["heatmap"]
            return maps.cpu().numpy()


class EmoNetFlip(EmoNet):
    """EmoNet with the rules of its published evaluation; see `EmoNet`.

    Valence and arousal are averaged over the image and its mirror image, then clipped to [-1, 1]. Expression
    logits are those of the image alone, as in the authors' code.
    """

    preprocessing = "face256-cv2-bilinear-256-rgb-flipmean-clip-v1"

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Compute valence and arousal in [-1, 1], and expression logits."""
        plain, mirrored = super().run(batch), super().run(batch.flip(-1))
        mean = {name: (plain[name] + mirrored[name]) / 2 for name in ("valence", "arousal")}
        return {name: functional.hardtanh(value) for name, value in mean.items()} | {
            "expression": plain["expression"]
        }


def _classes(name: str) -> int:
    """Return the number of expressions in a backbone's name, such as 'emonet-8-flip'."""
    return int(name.split("-")[1])


def _with_counters(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Add the batch counters that files of old PyTorch versions lack; evaluation does not use them."""
    norms = [key.removesuffix("running_var") for key in state if key.endswith("running_var")]
    return {f"{norm}num_batches_tracked": torch.tensor(0) for norm in norms} | dict(state)


def build(name: str, source: WeightsSource, device: str) -> EmoNet:
    """Build `emonet-8`, `emonet-5`, `emonet-8-flip` or `emonet-5-flip`.

    The official files have the prefix "module." of DataParallel and may lack batch counters.

    Raises:
        WeightsError: the weights belong to another network.
    """
    network = unfilled(lambda: EmoNetNetwork(_classes(name)))
    load_strictly(network, _with_counters(source.state_dict("module.")), name)
    kind = EmoNetFlip if name.endswith("-flip") else EmoNet
    return kind(name, network, source.used(), device)
