"""Independent pieces of linear algebra, one thread each."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]


def in_threads(task: Callable[[int], float], count: int) -> list[float]:
    """The task of 0 ... count - 1, up to four at a time, each with a single-threaded BLAS.

    Eigenvalue routines gain little from threads of their own, and on a busy machine those spend their time
    waiting for one another. One thread each also makes the last bits independent of the machine's cores.
    """
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        return list(pool.map(task, range(count)))
