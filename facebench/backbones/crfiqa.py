"""CR-FIQA: face image quality.

Measures: usefulness of a face image for recognition, higher is better.
Input: aligned crop `face112`, RGB, (x / 255 - 0.5) / 0.5.
Arrays: `quality` (n,), `features` (n, 512).
Licence: CC BY-NC 4.0.
Paper: Boutros et al. 2023, "CR-FIQA: Face image quality assessment by learning sample relative classifiability".
"""

from __future__ import annotations

from torch import Tensor, nn

from facebench.backbones.base import Image, load_strictly
from facebench.backbones.iresnet import DEPTHS, EMBEDDING, IResNet, face_input
from facebench.backbones.torch_network import TorchBackbone, unfilled
from facebench.backbones.weights import WeightsSource


class QualityNetwork(IResNet):
    """IResNet with a linear quality head `qs`: (n, 3, 112, 112) to features (n, 512) and quality (n, 1)."""

    def __init__(self, depths: tuple[int, int, int, int]) -> None:
        super().__init__(depths)
        self.qs = nn.Linear(EMBEDDING, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Compute raw features and quality."""
        features = super().forward(x)
        return features, self.qs(features)


class CrFiqa(TorchBackbone):
    """CR-FIQA quality of aligned faces: `quality` (n,), higher is better, and `features` (n, 512).

    Quality is an unbounded regression output without a sigmoid, about 1.5 to 3 with the published weights.
    `crfiqa-s` (iresnet50, CASIA-WebFace, 32572backbone.pth) and `crfiqa-l` (iresnet100, MS1MV2,
    181952backbone.pth) have different scales and are not comparable.

    The network was trained on RGB. `crfiqa-s-bgr` uses BGR like the released evaluation of ID-Booth, for
    comparison with its numbers only.
    """

    crop = "face112"
    preprocessing = "face112-rgb-v1"
    arrays = ("quality", "features")

    def preprocess(self, image: Image) -> Tensor:
        """Convert an aligned uint8 RGB face (112, 112, 3) to float32 (3, 112, 112) in [-1, 1].

        Raises:
            InputError: the image has another size.
        """
        return face_input(image, self.name)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Compute `quality` and `features`."""
        features, quality = self.network(batch)
        return {"quality": quality[:, 0], "features": features}


class CrFiqaBgr(CrFiqa):
    """CR-FIQA with BGR input, like the released evaluation of ID-Booth; see `CrFiqa`."""

    preprocessing = "face112-bgr-v1"

    def preprocess(self, image: Image) -> Tensor:
        """Convert like `CrFiqa.preprocess`, with the channels in BGR order."""
        return super().preprocess(image).flip(0)


def build(name: str, source: WeightsSource, device: str) -> CrFiqa:
    """Build `crfiqa-s`, `crfiqa-l` or `crfiqa-s-bgr`.

    Raises:
        WeightsError: the weights belong to another network.
    """
    depths = DEPTHS["iresnet100" if name == "crfiqa-l" else "iresnet50"]
    network = unfilled(lambda: QualityNetwork(depths))
    load_strictly(network, source.state_dict("module."), name)
    kind = CrFiqaBgr if name.endswith("-bgr") else CrFiqa
    return kind(name, network, source.used(), device)
