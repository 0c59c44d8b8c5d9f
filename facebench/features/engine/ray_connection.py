"""Connection to a Ray cluster."""

from __future__ import annotations

import os
from typing import Any

from facebench.core.errors import InputError


def connect(address: str | None) -> tuple[Any, bool]:
    """Connect this process to a Ray cluster.

    Args:
        address: address of a running cluster, "auto" for that of this machine; None starts one on this machine.

    Returns:
        The module `ray`, and whether this call connected; who connected shuts down.

    Raises:
        InputError: Ray is not installed, or no cluster answers at the address.
    """
    ray = _import_ray(local=address is None)
    if ray.is_initialized():
        return ray, False
    _connect(ray, address)
    return ray, True


def _import_ray(local: bool) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no usage statistics are sent
    if local:  # restricts a cluster on this machine to local connections; Ray reads it when it is imported
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
    except ImportError:
        raise InputError(
            "The engine 'ray' needs Ray, which is not installed. Install it with `pip install facebench[ray]`."
        ) from None
    return ray


def _connect(ray: Any, address: str | None) -> None:
    options = {"include_dashboard": False} if address is None else {}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(
            f"No Ray cluster answers at '{address}' ({error}). Start one with `ray start --head`, or leave out "
            "--address to use this machine."
        ) from None
