"""Errors of writing into the cache folder, as messages for the user."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facebench.core.errors import WeightsError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Turn an `OSError` of the block into a `WeightsError` that names the cache folder.

    Raises:
        WeightsError: the folder is not writable, or the disk is full.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _NO_SPACE:
            raise WeightsError(
                f"No space left for weights in {folder} ({reason}). Free some space, or set FACEBENCH_CACHE to "
                "a folder on a larger disk. A partial download is kept and resumed."
            ) from None
        raise WeightsError(
            f"The cache folder {folder} cannot be written to ({reason}). "
            "Set FACEBENCH_CACHE to a writable folder."
        ) from None
