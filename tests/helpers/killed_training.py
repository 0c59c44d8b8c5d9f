"""Train in child processes and kill them at random moments.

Usage: python -m tests.helpers.killed_training WORK KILLS. Prints one JSON object; runs are left in WORK. The children
are forked after the imports, so that each starts at once.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from tests.helpers.tiny_training import MODEL, SYNTHFACE, train

SETTINGS = {"data": SYNTHFACE, "model": MODEL, "steps": 30, "checkpoint_every": 3, "keep_checkpoints": 2}


def start(out: Path) -> int:
    """Fork a child that trains; return its process id."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            train("diffae", out, **SETTINGS)
            code = 0
        finally:
            os._exit(code)
    return pid


def finish(pid: int) -> int:
    """Return the exit code of a child; minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> None:
    work, kills = Path(sys.argv[1]), int(sys.argv[2])
    random.seed(0)
    begun = time.monotonic()
    undisturbed = finish(start(work / "undisturbed"))
    seconds = time.monotonic() - begun
    ends = []
    for _ in range(kills):
        pid = start(work / "killed")
        time.sleep(random.uniform(0, seconds / 3))
        os.kill(pid, signal.SIGKILL)
        ends.append(finish(pid))
    last = finish(start(work / "killed"))
    print(json.dumps({"undisturbed": undisturbed, "ends": ends, "last": last}))


if __name__ == "__main__":
    main()
