"""Training of DiffusionRig-Emo v2; the presets are rig-emo-256-stage1 and rig-emo-256-stage2.

Source: the public code of DiffusionRig-Emo (2025), version 2.
"""

from __future__ import annotations

from facebench.core.errors import InputError
from facebench.training.models import DiffusionRigEmo, DiffusionRigEmoConfig
from facebench.training.tasks.rig import BaseRigSettings, BaseRigTask


class RigEmoSettings(BaseRigSettings):
    """Settings of DiffusionRig-Emo training."""

    model: DiffusionRigEmoConfig | None = None
    """Network of stage 1; stage 2 has the network of its checkpoint."""
    freeze_encoder: bool = False
    """Keep the encoder's weights in stage 2. The public code of version 2 trains them."""


class RigEmoTask(BaseRigTask):
    """Train DiffusionRig-Emo v2 with the P2-weighted loss, given the codes of shape and identity of each photo."""

    kind = "rig-emo"
    settings: RigEmoSettings

    def __init__(self, settings: RigEmoSettings) -> None:
        super().__init__(settings, settings.model)
        config = self.network.config
        if not isinstance(config, DiffusionRigEmoConfig):
            raise InputError(
                f"{settings.init_from} has no inputs for the codes of shape and identity. Continue it with: "
                "facebench train rig --config rig-256-stage2"
            )
        fields = self.faces.read(0).fields
        for name, width in (("shape", config.shape_channels), ("identity", config.identity_channels)):
            if name not in fields:
                raise InputError(
                    f"{settings.data} holds no code '{name}'. Buffers of version 1 train with: facebench train rig"
                )
            if len(fields[name]) != width:
                raise InputError(
                    f"{settings.data}: the code '{name}' has {len(fields[name])} values, the network reads {width}. "
                    f"Set model.{name}_channels={len(fields[name])}, or use other buffers."
                )

    def build_network(self) -> DiffusionRigEmo:
        """Build the untrained network of stage 1."""
        assert self.settings.model is not None
        return DiffusionRigEmo(self.settings.model)


SETTINGS = RigEmoSettings


def make(settings: RigEmoSettings) -> RigEmoTask:
    """Open the buffers, and build the network or open its checkpoint."""
    return RigEmoTask(settings)
