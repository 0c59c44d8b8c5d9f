"""Steps that several training processes take together, so that an error of one ends none in a deadlock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from facebench.core.errors import FacebenchError

_T = TypeVar("_T")


def rank_and_count() -> tuple[int, int]:
    """Return the number of this process and the number of processes."""
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()):
        return 0, 1
    return dist.get_rank(), dist.get_world_size()


def from_first(compute: Callable[[], _T]) -> _T:
    """Compute on the first process, and return the result or raise the error on every process.

    Example:
        >>> from_first(lambda: 3)
        3
    """
    import torch.distributed as dist

    rank, count = rank_and_count()
    if count == 1:
        return compute()
    answer: list[Any] = [None]
    if rank == 0:
        try:
            answer = [compute()]
        except FacebenchError as error:
            answer = [error]
    dist.broadcast_object_list(answer, src=0)
    if isinstance(answer[0], FacebenchError):
        raise answer[0]
    result: _T = answer[0]
    return result


def together(compute: Callable[[], None]) -> None:
    """Run on every process; if it fails on one, raise its error on every process.

    Example:
        >>> together(lambda: None)
    """
    import torch.distributed as dist

    count = rank_and_count()[1]
    if count == 1:
        compute()
        return
    own: FacebenchError | None = None
    try:
        compute()
    except FacebenchError as error:
        own = error
    errors: list[FacebenchError | None] = [None] * count
    dist.all_gather_object(errors, own)
    first = next((error for error in errors if error is not None), None)
    if first is not None:
        raise first
