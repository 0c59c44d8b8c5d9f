"""Training of the compact rig; the presets are rig-64-synthface and rig-64-personal."""

from __future__ import annotations

from torch import Tensor

from facebench.training import diffusion
from facebench.training.diffusion import Weighting
from facebench.training.models import CompactRig, CompactRigConfig
from facebench.training.models.compact_rig import PredictionType
from facebench.training.tasks.rig import BaseRigSettings, BaseRigTask

DEFAULT_WEIGHTING: dict[PredictionType, Weighting] = {"eps": "p2", "v": "v", "change": "x_0"}
"""Weighting of timesteps by the output of the network."""


class CompactRigSettings(BaseRigSettings):
    """Settings of compact rig training."""

    model: CompactRigConfig | None = None
    """Network of stage 1; stage 2 has the network of its checkpoint."""
    weighting: Weighting | None = None
    """Weight of the squared error of eps at each timestep: `simple` is 1; `p2` favours noisy timesteps (Choi et al.
    2022); `v` and `x_0` give the error of v and of x_0. Null uses P2 for eps, v for v, and x_0 for the change."""


class CompactRigTask(BaseRigTask):
    """Train a compact rig with the weighting that fits its output."""

    kind = "compact-rig"
    settings: CompactRigSettings

    def __init__(self, settings: CompactRigSettings) -> None:
        super().__init__(settings, settings.model)

    def build_network(self) -> CompactRig:
        """Build the untrained network of stage 1."""
        assert self.settings.model is not None
        return CompactRig(self.settings.model)

    def timestep_weight(self, t: Tensor) -> Tensor:
        """Weights of the squared error of eps, one per timestep."""
        config = self.network.config
        prediction_type = config.prediction_type if isinstance(config, CompactRigConfig) else "eps"
        return diffusion.timestep_weight(t, self.settings.weighting or DEFAULT_WEIGHTING[prediction_type])


SETTINGS = CompactRigSettings


def make(settings: CompactRigSettings) -> CompactRigTask:
    """Open the buffers, and build the network or open its checkpoint."""
    return CompactRigTask(settings)
