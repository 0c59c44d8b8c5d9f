"""Base of network configurations, which are part of settings files and of model headers."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from facebench.training.engine.settings import Settings

_MAX_DEPTH = 256
"""Largest number of blocks, of layers, and of levels."""
_MAX_SIZE = 65_536
"""Largest number of pixels, channels and other integers."""
_DEPTHS = ("blocks", "layers")


class NetworkConfig(Settings):
    """Base of network configurations.

    The integers of a configuration have bounds, because it may come from the header of an untrusted file.
    """

    @model_validator(mode="after")
    def _check_bounds(self) -> NetworkConfig:
        for name in type(self).model_fields:
            value: Any = getattr(self, name)
            limit = _MAX_DEPTH if name in _DEPTHS else _MAX_SIZE
            items = value if isinstance(value, tuple) else (value,)
            if len(items) > _MAX_DEPTH or any(
                isinstance(item, int) and not 0 <= item <= limit for item in items
            ):
                raise ValueError(f"{name} is outside the range 0 to {limit}")
        return self
