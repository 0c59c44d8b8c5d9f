"""Fingerprint of weights, independent of their file."""

from __future__ import annotations

import hashlib

from torch import nn


def fingerprint(network: nn.Module) -> str:
    """Return the SHA-256 of all weights in half precision; copies stored in half precision have the same fingerprint.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> before = fingerprint(layer)
        >>> fingerprint(layer.half()) == before
        True
    """
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        half = value.half() if value.is_floating_point() else value
        digest.update(f"{name} {tuple(value.shape)}".encode())
        digest.update(half.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
