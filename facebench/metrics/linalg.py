"""Eigenvalues and independent linear algebra tasks, computed in one thread each."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from facebench.metrics.arrays import Floats

_LARGE = 512
"""Width from which an eigenvalue routine of LAPACK starts threads that are worth a limit."""


def eigenvalues(symmetric: Floats) -> Floats:
    """Eigenvalues of a symmetric matrix (d, d) in ascending order, computed in one thread.

    LAPACK's threads wait for one another at every column. On two cores that other programs use as well, they took 20
    times as long as one thread.
    """
    if len(symmetric) < _LARGE:
        return np.asarray(np.linalg.eigvalsh(symmetric))
    with threadpool_limits(1, user_api="blas"):
        return np.asarray(np.linalg.eigvalsh(symmetric))


def in_threads(task: Callable[[int], float], count: int) -> list[float]:
    """Run task(0) ... task(count - 1), up to four at a time, each with a single-threaded BLAS.

    Eigenvalue routines gain little from BLAS threads, which wait for one another on a busy machine. One thread each
    also makes the last bits independent of the number of cores.
    """
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        return list(pool.map(task, range(count)))
