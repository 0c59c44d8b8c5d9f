"""Training of DiffAE; the presets diffae-128-ffhq and diffae-256-ffhq hold the official settings.

Source: Preechakul et al. 2022, appendix A.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from facebench.core.errors import InputError
from facebench.training.data.sources import open_faces
from facebench.training.diffusion import q_sample, x_0_from_eps
from facebench.training.engine.checkpoints import load_strictly
from facebench.training.models import DiffAE, DiffAEConfig
from facebench.training.models.load import open_autoencoder
from facebench.training.tasks.autoencoder import AutoencoderSettings, AutoencoderTask


class DiffAESettings(AutoencoderSettings):
    """Settings of DiffAE training."""

    model: DiffAEConfig

    REMOVED: ClassVar[Mapping[str, Any]] = {
        "encoder": None,
        "freeze_encoder": False,
        "weighting": "simple",
        "focus": 1.0,
    }
    """Keys that moved to `CompactAutoencoderSettings`, with the values that change nothing."""


class DiffAETask(AutoencoderTask):
    """Train DiffAE with L_simple."""

    kind = "diffae"
    settings: DiffAESettings

    def build_network(self) -> DiffAE:
        """Build the network, with the weights of `init_from` if there are any."""
        network, path = DiffAE(self.settings.model), self.settings.init_from
        if path is not None:
            initial = open_autoencoder(path)
            if not isinstance(initial, DiffAE):
                raise InputError(
                    f"{path} is a compact autoencoder. Train it further with: facebench train compact-autoencoder"
                )
            load_strictly(network, initial.state_dict(), str(path))
        return network

    def denoise(
        self, network: nn.Module, x_0: Tensor, z_sem: Tensor, t: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Add noise to faces x_0, and return the predicted eps and the predicted clean faces."""
        x_t = q_sample(x_0, t, noise)
        eps = network(x_t, t, z_sem)
        return eps, x_0_from_eps(x_t, t, eps)


SETTINGS = DiffAESettings


def make(settings: DiffAESettings) -> DiffAETask:
    """Open the data and build the network."""
    size = settings.model.size
    return DiffAETask(settings, open_faces(settings.data, size), size)


def describes_compact(content: Mapping[str, Any]) -> bool:
    """Whether settings of the kind `diffae`, as older versions wrote them, describe a compact autoencoder."""
    model = content.get("model")
    compact_network = isinstance(model, Mapping) and DiffAEConfig.uses_removed_keys(model)
    return compact_network or DiffAESettings.uses_removed_keys(content)
