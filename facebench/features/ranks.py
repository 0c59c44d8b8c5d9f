"""Messages between the first process of `torch.distributed` and the other ones, over gloo.

Every message goes between the first process and one other process. If a process ends, the others can continue.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist

from facebench.core.errors import LostProcess

BLOCK_BYTES = 8 * 2**20
"""Size of the blocks in which rows are sent."""


class Ranks:
    """Connection of all processes; every process creates it at the same time.

    Args:
        timeout: seconds after which a process that does not answer counts as lost.

    Raises:
        LostProcess: a process does not create its connection in time.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self.rank, self.count = dist.get_rank(), dist.get_world_size()
        with self._reaching("another process"):
            group = dist.new_group(backend="gloo", timeout=timedelta(seconds=timeout))
        self._group = cast("dist.ProcessGroup", group)  # every process is a member

    @property
    def is_first(self) -> bool:
        """Whether this is the first process."""
        return self.rank == 0

    @property
    def others(self) -> range:
        """Ranks of the processes after the first one."""
        return range(1, self.count)

    def close(self) -> None:
        """Close the connection."""
        with suppress(RuntimeError):  # after a lost process
            dist.destroy_process_group(self._group)

    def send(self, message: Any, rank: int = 0) -> None:
        """Send a message to a process.

        Raises:
            LostProcess: the process does not receive it.
        """
        data = torch.frombuffer(bytearray(pickle.dumps(message)), dtype=torch.uint8)
        with self._reaching(f"process {rank}"):
            dist.send(torch.tensor([len(data)]), rank, group=self._group)
            dist.send(data, rank, group=self._group)

    def receive(self, rank: int = 0) -> Any:
        """Receive a message from a process.

        Raises:
            LostProcess: the process does not send one.
        """
        size = torch.zeros(1, dtype=torch.int64)
        with self._reaching(f"process {rank}"):
            dist.recv(size, rank, group=self._group)
            data = torch.empty(int(size), dtype=torch.uint8)
            dist.recv(data, rank, group=self._group)
        # The sender is a process of this job, as in the object messages of torch.distributed, which are pickles too.
        return pickle.loads(data.numpy().tobytes())

    def receive_from_all(self) -> dict[int, Any]:
        """Receive a message from every other process, also after one of them is lost.

        Raises:
            LostProcess: a process does not send one.
        """
        messages, lost = {}, []
        for rank in self.others:
            try:
                messages[rank] = self.receive(rank)
            except LostProcess as error:
                lost.append(error)
        if lost:
            raise lost[0]
        return messages

    def send_rows(self, rows: npt.NDArray[np.float32]) -> None:
        """Send the rows of an array to the first process, block by block.

        Raises:
            LostProcess: the first process does not receive them.
        """
        for start, stop in _blocks(rows.shape):
            block = torch.from_numpy(np.array(rows[start:stop], np.float32))
            with self._reaching("process 0"):
                dist.send(block, 0, group=self._group)

    def receive_rows(
        self, rank: int, shape: tuple[int, ...]
    ) -> Iterator[tuple[slice, npt.NDArray[np.float32]]]:
        """Receive the rows that a process sends with `send_rows`, block by block.

        Raises:
            LostProcess: the process does not send them.
        """
        for start, stop in _blocks(shape):
            block = torch.empty((stop - start, *shape[1:]), dtype=torch.float32)
            with self._reaching(f"process {rank}"):
                dist.recv(block, rank, group=self._group)
            yield slice(start, stop), block.numpy()

    @contextmanager
    def _reaching(self, other: str) -> Iterator[None]:
        """Turn errors of the connection into one line."""
        try:
            yield
        except RuntimeError as error:
            detail = str(error).strip().split("\n", 1)[0][-160:]
            raise LostProcess(
                f"Process {self.rank} lost {other}: it ended, or did not answer within {self._timeout:g} s. See its "
                f"own messages; every process must call compute(), and timeout=SECONDS waits longer. ({detail})"
            ) from error


def is_distributed() -> bool:
    """Return whether several processes share the work."""
    return bool(dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1)


def _blocks(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    row_bytes = 4 * max(1, int(np.prod(shape[1:], dtype=np.int64)))
    step = max(1, BLOCK_BYTES // row_bytes)
    for start in range(0, shape[0], step):
        yield start, min(start + step, shape[0])
