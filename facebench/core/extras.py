"""Errors about optional packages that are not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from facebench.core.errors import InputError


@contextmanager
def requires_extra(extra: str) -> Iterator[None]:
    """Replace an ImportError in the block by an error that says what to install.

    Raises:
        InputError: an import failed.
    """
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"This command needs the package '{error.name}'. Install it: pip install 'facebench[{extra}]'"
        ) from None
