"""Training that is killed at random moments ends with the same weights and a complete log.

`tests/cli/test_evaluate_interrupted.py` kills evaluations. FACEBENCH_FUZZ=10 makes 20 kills of a training and 60 of
evaluations.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.mutator import FACTOR
from tests.helpers.paths import REPOSITORY

KILLS = 2 * FACTOR


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks children")
def test_a_killed_training_ends_with_the_same_weights_and_a_complete_log(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.helpers.killed_training", str(tmp_path), str(KILLS)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, check=True, timeout=100 + 60 * FACTOR, cwd=REPOSITORY
    )
    ends = json.loads(done.stdout.splitlines()[-1])
    assert (ends["undisturbed"], ends["last"]) == (0, 0)
    assert set(ends["ends"]) <= {0, -9}
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    model = "model.safetensors"
    assert (killed / model).read_bytes() == (undisturbed / model).read_bytes()
    with (killed / "log.csv").open(encoding="utf-8", newline="") as file:
        steps = [int(row["step"]) for row in csv.DictReader(file) if row["name"] == "loss"]
    assert steps == list(range(1, 31))
    left = [path.name for path in killed.rglob("*") if path.name.startswith((".facebench-tmp-", ".step-"))]
    assert not left
