"""Which weights these are, whatever file they came from."""

from __future__ import annotations

import hashlib

from torch import nn


def fingerprint(network: nn.Module) -> str:
    """Sha256 of all weights in half precision, so that a copy that was stored in half precision is the same network.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> before = fingerprint(layer)
        >>> fingerprint(layer.half()) == before
        True
    """
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        whole = value.half() if value.is_floating_point() else value
        digest.update(f"{name} {tuple(value.shape)}".encode())
        digest.update(whole.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
