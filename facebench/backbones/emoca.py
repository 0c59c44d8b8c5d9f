"""EMOCA: DECA with a separate expression encoder.

Measures: 3D shape, texture, expression, pose, camera and light of a face.
Input: crop `face224`, RGB, [0, 1], without mean or deviation.
Arrays: `shape` (n, 100), `tex` (n, 50), `exp` (n, 50), `pose` (n, 6), `cam` (n, 3), `light` (n, 9, 3).
Licence: EMOCA licence (Max Planck), non-commercial scientific research only, after registration.
Paper: Daněček et al. 2022, "EMOCA: Emotion driven monocular face capture and animation".
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facebench.backbones.base import load_strictly
from facebench.backbones.deca import CODES, OUTPUTS, CoarseEncoder, Deca, split
from facebench.backbones.torch_network import unfilled
from facebench.backbones.weights import WeightsSource

_ENCODERS = ("E_flame.", "E_expression.")
_LAST = "E_expression.layers.2.weight"
JAW = 3


class EmocaNetwork(nn.Module):
    """DECA's encoder and the expression encoder: (n, 3, 224, 224) in [0, 1] to (n, 236) and (n, 50 or 53)."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.E_flame = CoarseEncoder(OUTPUTS)
        self.E_expression = CoarseEncoder(outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the codes of both encoders."""
        return self.E_flame(x), self.E_expression(x)


class Emoca(Deca):
    """EMOCA's coarse codes, with the names, shapes and crop of `Deca`.

    The expression encoder replaces `exp`; the other codes are DECA's. An expression encoder with 53 outputs
    also replaces the jaw rotation, `pose[:, 3:]`.

    The two encoders are read from the authors' Lightning checkpoint, entry "state_dict", prefix "deca.".
    Decoders, FLAME model and losses are ignored. Settings stored as objects of the packages that the registry
    lists are read as empty placeholders, so that no code runs.
    """

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Compute the merged codes."""
        return merge(*self.network(batch))


def merge(flame: Tensor, expression: Tensor) -> dict[str, Tensor]:
    """Replace codes of DECA (n, 236) by the expression encoder's outputs (n, 50 or 53)."""
    codes = split(flame)
    codes["exp"] = expression[:, : CODES["exp"]]
    if expression.shape[1] > CODES["exp"]:
        codes["pose"] = torch.cat((codes["pose"][:, :-JAW], expression[:, -JAW:]), dim=1)
    return codes


def build(name: str, source: WeightsSource, device: str) -> Emoca:
    """Build `emoca`; the last layer of the expression encoder determines whether it predicts the jaw rotation.

    Raises:
        WeightsError: the weights belong to other networks.
    """
    content = source.state_dict("deca.", entry="state_dict")
    state = {key: value for key, value in content.items() if key.startswith(_ENCODERS)}
    with_jaw = _LAST in state and state[_LAST].shape[:1] == (CODES["exp"] + JAW,)
    network = unfilled(lambda: EmocaNetwork(CODES["exp"] + (JAW if with_jaw else 0)))
    load_strictly(network, state, name)
    return Emoca(name, network, source.used(), device)
