"""The log of a run keeps its history when the run is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from facebench.training.engine.log import Log

OPEN_AND_DIE = """
import os, pathlib, signal, sys
from facebench.training.engine.log import Log
Log(pathlib.Path(sys.argv[1]), 3)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_killed_after_opening_the_log_leaves_the_history(tmp_path: Path) -> None:
    with Log(tmp_path, 0) as log:
        for step in (1, 2, 3):
            log.scalars(step, {"loss": 1.0})
    history = (tmp_path / "log.csv").read_text()
    done = subprocess.run([sys.executable, "-c", OPEN_AND_DIE, str(tmp_path)], env={**os.environ})
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "log.csv").read_text() == history
    assert {path.name for path in tmp_path.iterdir()} <= {"log.csv", "tensorboard"}


def test_rows_after_the_resumed_step_and_a_row_that_was_cut_off_are_removed(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(b"step,name,value\n1,loss,0.5\n2,loss,0.25\n3,loss,0.125\n2,los\0\xff")
    Log(tmp_path, 2).__exit__(None, None, None)
    assert (tmp_path / "log.csv").read_text() == "step,name,value\n1,loss,0.5\n2,loss,0.25\n"


def test_a_value_that_was_cut_off_is_removed(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("step,name,value\n1,loss,0.5\n2,loss,0.2")
    Log(tmp_path, 2).__exit__(None, None, None)
    assert (tmp_path / "log.csv").read_text() == "step,name,value\n1,loss,0.5\n"


def test_sample_images_are_written_by_name_and_step(tmp_path: Path) -> None:
    with Log(tmp_path, 0) as log:
        log.images(7, {"faces": np.zeros((4, 4, 3), np.uint8)})
    assert [path.name for path in (tmp_path / "samples").iterdir()] == ["faces-00000007.png"]
