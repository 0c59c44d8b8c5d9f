"""EMOCA: DECA with an encoder of its own for the expression.

Source: Daněček et al. 2022, "EMOCA: Emotion driven monocular face capture and animation"; weights for
non-commercial research, after accepting the licence on the authors' site.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facebench.backbones.base import load_strictly
from facebench.backbones.deca import CODES, OUTPUTS, CoarseEncoder, Deca, split
from facebench.backbones.torch_network import unfilled
from facebench.backbones.weights import Given

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
        """The codes of both encoders."""
        return self.E_flame(x), self.E_expression(x)


class Emoca(Deca):
    """EMOCA's coarse codes, named and shaped as `Deca`'s, from the same crop.

    The expression encoder replaces `exp` and leaves shape, texture, camera and light as DECA has them. Where
    its last layer has 53 outputs instead of 50, the last three replace the jaw, `pose[:, 3:]`.

    Reads the authors' Lightning checkpoint: entry "state_dict", prefix "deca.", of which the two encoders are
    taken and the decoders, the FLAME model and the losses left out. A checkpoint that stores its
    configuration as Python objects is refused, since reading it would run code: save its state_dict as
    safetensors first.
    """

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """The named codes, merged."""
        return merge(*self.network(batch))


def merge(flame: Tensor, expression: Tensor) -> dict[str, Tensor]:
    """Put the expression encoder's numbers (n, 50 or 53) in the place of DECA's (n, 236)."""
    codes = split(flame)
    codes["exp"] = expression[:, : CODES["exp"]]
    if expression.shape[1] > CODES["exp"]:
        codes["pose"] = torch.cat((codes["pose"][:, :-JAW], expression[:, -JAW:]), dim=1)
    return codes


def build(name: str, given: Given, device: str) -> Emoca:
    """Build `emoca`, with or without a jaw in the expression encoder, as its last layer says.

    Raises:
        WeightsError: the weights are not those of the two encoders; names the first key that does not fit.
    """
    content = given.state_dict("deca.", entry="state_dict")
    state = {key: value for key, value in content.items() if key.startswith(_ENCODERS)}
    with_jaw = _LAST in state and len(state[_LAST]) == CODES["exp"] + JAW
    network = unfilled(lambda: EmocaNetwork(CODES["exp"] + (JAW if with_jaw else 0)))
    load_strictly(network, state, name)
    return Emoca(name, network, given.used(), device)
