"""`facebench runs`, and runs that other commands take by name."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.helpers.records import make_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with runs of two models, and a folder of images with the name of one."""
    for name, day, value in (("ours", 1, 2.0), ("theirs", 2, 9.0), ("ours", 3, 1.0)):
        run = make_run(name, fd_lite0=value)
        run.created = datetime(2026, 1, day, tzinfo=timezone.utc)
        run.save(tmp_path / "runs" / f"{name}-quality" / f"2026-01-0{day}T00-00-00Z")
    (tmp_path / "ours").mkdir()
    return tmp_path


def test_runs_are_listed_newest_first(facebench: Command, folder: Path) -> None:
    done = facebench("runs", cwd=folder)
    assert done.stdout.splitlines()[0].startswith(
        "3 runs of 2 models. The newest: runs/ours-quality/2026-01-03T"
    )
    rows = json.loads(facebench("runs", "--format", "json", cwd=folder).stdout)
    assert [(row["name"], row["created"]) for row in rows] == [
        ("ours", "2026-01-03 00:00"),
        ("theirs", "2026-01-02 00:00"),
        ("ours", "2026-01-01 00:00"),
    ]


@pytest.mark.parametrize("name", ["ours", "ours-quality", "newest", "ours-quality/2026-01-03T00-00-00Z"])
def test_a_run_is_taken_by_name(facebench: Command, folder: Path, name: str) -> None:
    done = facebench("runs", "--compare", "theirs", name, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "ours: better than theirs on 1 of 1 metric, worse on none"
    assert "1.00" in done.stdout


def test_the_newest_run_is_printed_for_scripts(facebench: Command, folder: Path) -> None:
    done = facebench("runs", "--newest", "theirs", cwd=folder)
    assert done.stdout == "runs/theirs-quality/2026-01-02T00-00-00Z\n"


def test_a_board_takes_all_runs_of_a_name(facebench: Command, folder: Path) -> None:
    rows = json.loads(facebench("leaderboard", "ours", "theirs", "--format", "json", cwd=folder).stdout)
    assert [row["model"] for row in rows] == ["ours", "ours", "theirs"]


def test_check_prints_the_verdict_first_and_takes_names(facebench: Command, folder: Path) -> None:
    done = facebench("check", "ours", "--baseline", "theirs", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == [
        "passed: 0 of 1 judged metrics are worse than the rules allow",
        "ours: better than theirs on 1 of 1 metric, worse on none",
    ]
    rows = json.loads(
        facebench("check", "ours", "--baseline", "theirs", "--format", "json", cwd=folder).stdout
    )
    assert rows[0]["verdict"] == "✓ passed"


def test_an_unknown_name_lists_the_known_ones(facebench: Command, folder: Path) -> None:
    done = facebench("runs", "our", cwd=folder)
    assert done.returncode == 2
    assert "Did you mean" in done.stderr or "Known" in done.stderr
    assert facebench("report", "nobody", "--html", "x", cwd=folder).returncode == 2


def test_a_name_with_two_protocols_must_be_exact(facebench: Command, folder: Path) -> None:
    run = make_run("ours", fd_lite0=1.0)
    run.protocol = "identity"
    run.save(folder / "runs" / "ours-identity" / "2026-01-04T00-00-00Z")
    done = facebench("check", "ours", "--baseline", "theirs", cwd=folder)
    assert done.returncode == 2
    assert "several protocols" in done.stderr
    assert facebench("check", "ours-quality", "--baseline", "theirs", cwd=folder).returncode == 0
