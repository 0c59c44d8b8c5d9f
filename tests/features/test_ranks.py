"""Messages between two real processes, and what happens when one of them is lost."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from facebench.core.errors import FacebenchError
from facebench.features.ranks import BLOCK_BYTES, Ranks

ROWS = np.arange(3 * BLOCK_BYTES // 4 + 5, dtype=np.float32).reshape(-1, 1)


def joined(rank: int, folder: Path) -> None:
    import torch.distributed as dist

    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder / 'port'}",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=60),
    )


def talk(rank: int, folder: Path) -> None:
    joined(rank, folder)
    ranks = Ranks(timeout=60)
    if rank == 1:
        ranks.send({"images": 3})
        ranks.send_rows(ROWS)
        (folder / "end").write_text(str(ranks.receive()))
    else:
        assert ranks.receive_from_all() == {1: {"images": 3}}
        rows = np.zeros_like(ROWS)
        blocks = 0
        for place, block in ranks.receive_rows(1, ROWS.shape):
            rows[place] = block
            blocks += 1
        ranks.send(f"{blocks} blocks, equal: {np.array_equal(rows, ROWS)}", 1)
    ranks.close()


def die(rank: int, folder: Path) -> None:
    joined(rank, folder)
    ranks = Ranks(timeout=60)
    if rank == 1:
        os._exit(0)
    report(folder, ranks.receive_from_all)


def stay_away(rank: int, folder: Path) -> None:
    joined(rank, folder)
    if rank == 1:
        while not (folder / "error").exists():
            time.sleep(0.05)
        os._exit(0)
    report(folder, lambda: Ranks(timeout=1))


def report(folder: Path, action: Callable[[], object]) -> None:
    start = time.monotonic()
    try:
        action()
    except FacebenchError as error:
        (folder / "part").write_text(f"{time.monotonic() - start:.1f} {error}")
        (folder / "part").rename(folder / "error")
    os._exit(0)


def run_two(target: Callable[[int, Path], None], folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=target, args=(rank, folder)) for rank in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(timeout=300)
    assert [process.exitcode for process in both] == [0, 0]


def assert_lost(folder: Path) -> None:
    seconds, text = (folder / "error").read_text().split(" ", 1)
    assert float(seconds) < 50
    assert text.startswith("Process 0 lost ")
    assert "\n" not in text


def test_messages_and_rows_arrive_whole(tmp_path: Path) -> None:
    run_two(talk, tmp_path)
    assert (tmp_path / "end").read_text() == "4 blocks, equal: True"


@pytest.mark.parametrize("loss", [die, stay_away])
def test_a_lost_process_is_one_line_in_time(tmp_path: Path, loss: Callable[[int, Path], None]) -> None:
    run_two(loss, tmp_path)
    assert_lost(tmp_path)
