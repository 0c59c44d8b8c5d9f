"""Base of network configurations, which are part of settings files and of model headers."""

from __future__ import annotations

from facebench.training.engine.settings import Settings


class NetworkConfig(Settings):
    """Base of network configurations."""
