"""The whole command on bad days: killed, interrupted, without disk. The numbers stay the same to the last bit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

from tests.helpers.mutator import FACTOR
from tests.helpers.paths import GOLDENS_FOLDER, REPOSITORY

IMAGES = GOLDENS_FOLDER / "images"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Outcome of `facebench evaluate` in each case."""
    folders = [tmp_path_factory.mktemp(name) for name in ("generated", "reference", "work")]
    for folder, name in zip(folders, "ab", strict=False):
        for file in sorted((IMAGES / name).iterdir())[:8]:
            shutil.copy(file, folder)
    command = [sys.executable, "-m", "tests.helpers.bad_commands", *folders]
    root = REPOSITORY
    result = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=400 * FACTOR, cwd=root)
    return json.loads(result.stdout)  # type: ignore[no-any-return]


def test_killed_at_random_points_the_command_continues_to_the_same_record(outcomes: dict[str, Any]) -> None:
    killed = [end for case_of_kill in outcomes["kills"] for end in case_of_kill["ends"] if end == -9]
    assert len(killed) >= 3
    for case_of_kill in outcomes["kills"]:
        assert case_of_kill["last"] == 0
        assert case_of_kill["numbers"] == outcomes["numbers"]


def test_interrupted_it_prints_one_line_and_continues(outcomes: dict[str, Any]) -> None:
    interrupt = outcomes["interrupt"]
    assert interrupt["exit"] == 130
    assert interrupt["output"].splitlines()[-1].startswith("interrupted: computed results are kept")
    assert "Traceback" not in interrupt["output"]
    assert interrupt["again"] == 0
    assert interrupt["numbers"] == outcomes["numbers"]


@pytest.mark.parametrize(
    ("case", "advice"), [("disk_full", "Free disk space"), ("no_folder", "Set FACEBENCH_CACHE")]
)
def test_without_a_place_for_the_store_it_still_measures(
    outcomes: dict[str, Any], case: str, advice: str
) -> None:
    assert outcomes[case]["exit"] == 0
    assert advice in " ".join(outcomes[case]["output"].split())
    assert "Traceback" not in outcomes[case]["output"]
    assert outcomes[case]["numbers"] == outcomes["numbers"]
