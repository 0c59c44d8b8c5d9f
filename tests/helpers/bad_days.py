"""Run extractions in child processes and kill, interrupt or duplicate them.

Usage: python -m tests.helpers.bad_days FOLDER WORK. Prints one JSON object and writes arrays to WORK/*.npz. The
children are forked before any network runs, so that none has to import torch again.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from contextlib import closing
from pathlib import Path

import numpy as np

from facebench.features.extraction import Execution, extract
from facebench.features.store.sqlite import Store
from facebench.images.image_set import ImageSet
from tests.helpers.tiny_networks import Tiny, TinyFace

INTERRUPTED = 42
LAST_KILL = 12
"""Finished images after which a run of 16 is killed at the latest; its last batch is then still to come."""


def child(folder: Path, store: Path, out: Path, reports: int) -> None:
    """Extract, report each finished image through the pipe, and save the arrays."""
    # Processes in the background of a shell inherit an ignored SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        extraction = extract(
            ImageSet.open(folder, identities=False),
            [Tiny(), TinyFace("tinyface")],
            store=Store(store),
            execution=Execution(batch_size=4),
            progress=lambda stage, done, total: os.write(reports, b".") and None,
        )
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
    np.savez(out, **{f"{b}_{a}": v for b, arrays in extraction.arrays.items() for a, v in arrays.items()})
    os._exit(0)


def start(folder: Path, store: Path, out: Path) -> tuple[int, int]:
    """Return the process id of the child, and a pipe with one byte for each finished image."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        child(folder, store, out, writing)
    os.close(writing)
    return pid, reading


def finish(pid: int, reports: int) -> tuple[int, int]:
    """Return the exit status and the number of finished images."""
    finished = 0
    while part := os.read(reports, 1000):
        finished += len(part)
    os.close(reports)
    return os.waitpid(pid, 0)[1], finished


def entries(store: Path) -> dict[str, int]:
    with closing(Store(store)) as opened:
        return {network.name: count for network, (count, _) in opened.info().networks.items()}


def kill_at_random(folder: Path, work: Path) -> list[dict[str, int]]:
    """Kill extractions after a random number of finished images, so that a busy machine does not matter."""
    random.seed(0)
    kills = []
    for attempt in range(6):
        store = work / ("killed" if attempt % 2 else f"killed{attempt}")
        before = entries(store).get("tiny", 0)
        pid, reports = start(folder, store, work / "killed.npz")
        seen = sum(len(os.read(reports, 1)) for _ in range(random.randrange(LAST_KILL)))
        os.kill(pid, signal.SIGKILL)
        status, unseen = finish(pid, reports)
        finished = seen + unseen
        kills.append(
            {"killed": status == signal.SIGKILL, "before": before, "finished": finished, **entries(store)}
        )
    assert finish(*start(folder, work / "killed", work / "killed.npz"))[0] == 0
    return kills


def interrupt(folder: Path, work: Path) -> dict[str, int]:
    pid, reports = start(folder, work / "interrupted", work / "interrupted.npz")
    os.read(reports, 1)
    os.kill(pid, signal.SIGINT)
    status, _ = finish(pid, reports)
    kept = entries(work / "interrupted").get("tiny", 0)
    assert finish(*start(folder, work / "interrupted", work / "interrupted.npz"))[0] == 0
    return {"exit": os.waitstatus_to_exitcode(status), "kept": kept}


def two_at_once(folder: Path, work: Path) -> list[int]:
    children = [start(folder, work / "shared", work / f"shared{i}.npz") for i in range(2)]
    return [finish(*each)[0] for each in children]


def main() -> None:
    folder, work = Path(sys.argv[1]), Path(sys.argv[2])
    status, _ = finish(*start(folder, work / "undisturbed", work / "undisturbed.npz"))
    print(
        json.dumps(
            {
                "undisturbed": status,
                "kills": kill_at_random(folder, work),
                "interrupt": interrupt(folder, work),
                "two_at_once": two_at_once(folder, work),
            }
        )
    )


if __name__ == "__main__":
    main()
