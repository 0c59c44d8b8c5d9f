"""Run `facebench evaluate` in child processes, and kill or interrupt them.

Usage: python -m tests.helpers.bad_commands GENERATED REFERENCE WORK. Prints one JSON object; runs are left in WORK.
The children are forked after the imports, so each takes one second instead of ten.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
import time
from contextlib import closing
from pathlib import Path

import facebench.cli.evaluate
import facebench.synthface  # noqa: F401
from facebench import cli
from facebench.evaluation.record_reading import load_run
from facebench.features.store.sqlite import Store
from tests.helpers.mutator import FACTOR

METRICS = "fd_lite0,face_found"


class Command:
    """A running `facebench evaluate`."""

    def __init__(
        self, folders: tuple[Path, Path], cache: Path, out: Path, file_limit: int | None = None
    ) -> None:
        self.out, self.log = out, out.with_suffix(".log")
        self.pid = os.fork()
        if self.pid == 0:
            self._run(folders, cache, file_limit)

    def _run(self, folders: tuple[Path, Path], cache: Path, file_limit: int | None) -> None:
        os.environ["FACEBENCH_CACHE"] = str(cache)
        # A background job of a shell ignores SIGINT, and child processes inherit this.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if file_limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
        generated, reference = map(str, folders)
        sys.argv = ["facebench", "evaluate", generated, "--reference", reference, "--metrics", METRICS]
        sys.argv += ["--name", "model", "--out", str(self.out)]
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    def wait(self) -> int:
        """Return the exit code, or the negative number of the signal that ended it."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def ended(self) -> int:
        """Wait for a command that must write its record."""
        code = self.wait()
        if not (self.out / "record.json").exists():
            raise SystemExit(f"no record in {self.out}: {self.log.read_text()}")
        return code


def numbers(out: Path) -> dict[str, object]:
    """Values of a record as text, with all digits of the floats."""
    record = json.loads((out / "record.json").read_text())
    for what in ("created", "timings", "warnings"):
        del record[what]
    return record | {"per_image": load_run(out).per_image.to_json(double_precision=15)}


def kept(cache: Path) -> int:
    """Return the number of results in the store of a cache."""
    if not (cache / "store" / "features.sqlite").exists():
        return 0
    with closing(Store(cache / "store")) as store:
        return store.info().entries


def kill_at_random(folders: tuple[Path, Path], work: Path, seconds: float) -> list[dict[str, object]]:
    """Fill two caches by runs that are killed several times and then finished."""
    random.seed(0)
    stories = []
    for name in ("one", "two"):
        ends = []
        for _ in range(3 * FACTOR):
            command = Command(folders, work / name, work / f"killed-{name}")
            # A run that continues is shorter than a whole one.
            time.sleep(random.uniform(0, seconds / 2))
            os.kill(command.pid, signal.SIGKILL)
            ends.append(command.wait())
        final = Command(folders, work / name, work / f"killed-{name}")
        stories.append({"ends": ends, "last": final.ended(), "numbers": numbers(final.out)})
    return stories


def interrupt(folders: tuple[Path, Path], work: Path) -> dict[str, object]:
    """Interrupt a run (SIGINT) as soon as it has computed a result."""
    cache = work / "interrupted"
    command = Command(folders, cache, work / "interrupted-run")
    while not kept(cache):
        time.sleep(0.02)
    os.kill(command.pid, signal.SIGINT)
    exit_code = command.wait()
    said = command.log.read_text()
    again = Command(folders, cache, work / "interrupted-run")
    return {"exit": exit_code, "output": said, "again": again.ended(), "numbers": numbers(again.out)}


def without_store(
    folders: tuple[Path, Path], work: Path, cache: Path, limit: int | None
) -> dict[str, object]:
    command = Command(folders, cache, work / f"{cache.name}-run", limit)
    exit_code = command.ended()
    return {"exit": exit_code, "output": command.log.read_text(), "numbers": numbers(command.out)}


def main() -> None:
    generated, reference, work = map(Path, sys.argv[1:])
    folders = generated, reference
    begun = time.monotonic()
    undisturbed = Command(folders, work / "calm", work / "undisturbed")
    outcomes: dict[str, object] = {"undisturbed": undisturbed.ended()}
    seconds = time.monotonic() - begun
    outcomes |= {
        "seconds": seconds,
        "numbers": numbers(undisturbed.out),
        "kills": kill_at_random(folders, work, seconds),
        "interrupt": interrupt(folders, work),
        "disk_full": without_store(folders, work, work / "full", 100_000),
        "no_folder": without_store(folders, work, Path("/proc/nowhere"), None),
    }
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
