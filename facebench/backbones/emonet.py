"""EmoNet: valence, arousal and expression of a face.

Source: Toisoul et al. 2021, "Estimation of continuous valence and arousal levels from faces in naturalistic
conditions", Nature Machine Intelligence; weights and code under CC BY-NC-ND 4.0.
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
from facebench.backbones.weights import Given

SIZE = 256
EXPRESSIONS: Mapping[int, tuple[str, ...]] = {
    8: ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt"),
    # Its fifth class is anger, as in the authors' data code; their demo prints "Fear" for it.
    5: ("neutral", "happy", "sad", "surprise", "anger"),
}


class EmoNet(TorchBackbone):
    """EmoNet: `valence`, `arousal` (n,) and `expression` logits (n, 8 or 5), the network's own raw outputs.

    Crop `face256` (a square around the face box, no alignment), RGB, OpenCV's bilinear resize to 256 without
    antialias, [0, 1], no mean or deviation. Valence and arousal are meant to lie in [-1, 1] but are not
    bounded by the network: `emonet-8` and `emonet-5` give them unclipped. `emonet-8-flip` and `emonet-5-flip`
    give what the published evaluation scores: mean with the mirrored image, then clipped. `expressions` names
    the columns.

    Any jitter of the crop moves valence and arousal: crop a source and its edit with the same box.
    """

    crop = "face256"
    preprocessing = "face256-cv2-bilinear-256-rgb-v1"
    arrays = ("valence", "arousal", "expression")

    @property
    def expressions(self) -> tuple[str, ...]:
        """Names of the columns of `expression`."""
        return EXPRESSIONS[_classes(self.name)]

    def preprocess(self, image: Image) -> Tensor:
        """Turn a uint8 RGB face of any size into float32 (3, 256, 256) in [0, 1]; aspect is not kept."""
        return standardise(stretched(image, SIZE), (0.0,) * 3, (1.0,) * 3)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Valence, arousal and expression logits, raw."""
        answers = self.network(batch)
        return {name: answers[name] for name in self.arrays}

    def heatmaps(self, batch: Tensor) -> npt.NDArray[np.float32]:
        """Heat maps of 68 face landmarks, float32 (n, 68, 64, 64): the crop at a quarter of its size."""
        with exact_float32(), torch.inference_mode():
            maps: Tensor = self.network(batch.to(self.device))["heatmap"]
            return maps.cpu().numpy()


class EmoNetFlip(EmoNet):
    """EmoNet as its published evaluation runs it; see `EmoNet`.

    Valence and arousal are the mean of the image and its mirror image, clipped to [-1, 1] afterwards. The
    expression is that of the image as it is: the authors do not average it.
    """

    preprocessing = "face256-cv2-bilinear-256-rgb-flipmean-clip-v1"

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Valence and arousal in [-1, 1], expression logits raw."""
        plain, mirrored = super().run(batch), super().run(batch.flip(-1))
        mean = {name: (plain[name] + mirrored[name]) / 2 for name in ("valence", "arousal")}
        return {name: functional.hardtanh(value) for name, value in mean.items()} | {
            "expression": plain["expression"]
        }


def _classes(name: str) -> int:
    """Number of expressions, from a backbone's name: 'emonet-8' or 'emonet-8-flip'."""
    return int(name.split("-")[1])


def _with_counters(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Add the batch counters of the norms where the file is older than them; evaluation never reads them."""
    norms = [key.removesuffix("running_var") for key in state if key.endswith("running_var")]
    return {f"{norm}num_batches_tracked": torch.tensor(0) for norm in norms} | dict(state)


def build(name: str, given: Given, device: str) -> EmoNet:
    """Build `emonet-8`, `emonet-5`, `emonet-8-flip` or `emonet-5-flip`.

    The official files were saved from DataParallel ("module." is dropped) and may lack batch counters.

    Raises:
        WeightsError: the weights are not those of this network; names the first key that does not fit.
    """
    network = unfilled(lambda: EmoNetNetwork(_classes(name)))
    load_strictly(network, _with_counters(given.state_dict("module.")), name)
    kind = EmoNetFlip if name.endswith("-flip") else EmoNet
    return kind(name, network, given.used(), device)
