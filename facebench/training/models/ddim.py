"""The unconditional diffusion model: the baseline without a code."""

from __future__ import annotations

from pydantic import Field

from facebench.training.models.compact_unet import set_group_count
from facebench.training.models.config import NetworkConfig
from facebench.training.models.unet import UNet


class DDIMConfig(NetworkConfig):
    """Configuration of the unconditional model; the defaults are those of DiffAE's DDIM baseline on FFHQ."""

    size: int = Field(..., gt=0)
    multipliers: tuple[int, ...]
    """Widths of the U-Net's levels relative to `channels`."""
    channels: int = Field(128, gt=0)
    time_channels: int = Field(512, gt=0)
    blocks: int = Field(2, gt=0)
    attention: tuple[int, ...] = (16,)
    dropout: float = Field(0.1, ge=0, lt=1)
    groups: int = Field(32, gt=0)
    """Groups of the group normalisation; narrow networks need fewer than 32."""


def build_ddim(config: DDIMConfig) -> UNet:
    """Build the untrained network.

    Example:
        >>> build_ddim(DDIMConfig(size=16, multipliers=(1, 2), channels=8, groups=4)).out_norm.num_groups
        4
    """
    network = UNet(
        config.size,
        config.channels,
        config.multipliers,
        time_channels=config.time_channels,
        blocks=config.blocks,
        attention=config.attention,
        dropout=config.dropout,
    )
    set_group_count(network, config.groups)
    return network
