"""Independent linear algebra tasks, one thread each."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]


def in_threads(task: Callable[[int], float], count: int) -> list[float]:
    """Run task(0) ... task(count - 1), up to four at a time, each with a single-threaded BLAS.

    Eigenvalue routines gain little from BLAS threads, which wait for one another on a busy machine. One thread each
    also makes the last bits independent of the number of cores.
    """
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        return list(pool.map(task, range(count)))
