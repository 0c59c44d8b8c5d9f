"""CR-FIQA: how useful a face image is for recognition.

Source: Boutros et al. 2023, "CR-FIQA: Face image quality assessment by learning sample relative
classifiability"; weights for non-commercial use (CC BY-NC 4.0).
"""

from __future__ import annotations

from torch import Tensor, nn

from facebench.backbones.base import Image, load_strictly
from facebench.backbones.iresnet import DEPTHS, EMBEDDING, IResNet, face_input
from facebench.backbones.torch_network import TorchBackbone, unfilled
from facebench.backbones.weights import Given


class QualityNetwork(IResNet):
    """IResNet with a linear quality head `qs`: (n, 3, 112, 112) to features (n, 512) and quality (n, 1)."""

    def __init__(self, depths: tuple[int, int, int, int]) -> None:
        super().__init__(depths)
        self.qs = nn.Linear(EMBEDDING, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Raw features and quality."""
        features = super().forward(x)
        return features, self.qs(features)


class CrFiqa(TorchBackbone):
    """CR-FIQA quality of aligned faces: `quality` (n,), higher is better, and `features` (n, 512).

    Crop `face112`, RGB, (x / 255 - 0.5) / 0.5. Quality is an unbounded regression output (about 1.5 to 3 with
    the published weights): no sigmoid, no fixed scale, and `crfiqa-s` (iresnet50, CASIA-WebFace,
    32572backbone.pth) and `crfiqa-l` (iresnet100, MS1MV2, 181952backbone.pth) never share a column.

    The network was trained on RGB. `crfiqa-s-bgr` feeds BGR, as ID-Booth's released evaluation did: only for
    comparing with its numbers.
    """

    crop = "face112"
    preprocessing = "face112-rgb-v1"
    arrays = ("quality", "features")

    def preprocess(self, image: Image) -> Tensor:
        """Turn an aligned uint8 RGB face (112, 112, 3) into float32 (3, 112, 112) in [-1, 1].

        Raises:
            InputError: another size.
        """
        return face_input(image, self.name)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Quality and the raw features it is read from."""
        features, quality = self.network(batch)
        return {"quality": quality[:, 0], "features": features}


class CrFiqaBgr(CrFiqa):
    """CR-FIQA fed with BGR, as ID-Booth's released evaluation ran it; see `CrFiqa`."""

    preprocessing = "face112-bgr-v1"

    def preprocess(self, image: Image) -> Tensor:
        """As `CrFiqa.preprocess`, with the channels in BGR order."""
        return super().preprocess(image).flip(0)


def build(name: str, given: Given, device: str) -> CrFiqa:
    """Build `crfiqa-s`, `crfiqa-l` or `crfiqa-s-bgr`.

    Raises:
        WeightsError: the weights are not those of this network; names the first key that does not fit.
    """
    depths = DEPTHS["iresnet100" if name == "crfiqa-l" else "iresnet50"]
    network = unfilled(lambda: QualityNetwork(depths))
    load_strictly(network, given.state_dict("module."), name)
    kind = CrFiqaBgr if name.endswith("-bgr") else CrFiqa
    return kind(name, network, given.used(), device)
