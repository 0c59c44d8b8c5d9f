"""Folders of runs: a new one for each evaluation, the newest one, and all below a folder."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from facebench.evaluation.record_reading import load_run
from facebench.evaluation.run_folders import new_run_folder, newest_run_folder, run_folders
from tests.helpers.records import make_run

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def make_runs(runs: Path, count: int) -> list[Path]:
    """Runs of the same second."""
    folders = []
    for index in range(count):
        folders.append(new_run_folder(runs, "ours", "quality", CREATED))
        make_run("ours", fd_lite0=float(index)).save(folders[-1])
    return folders


def test_runs_of_the_same_second_have_different_folders_and_the_last_is_newest(tmp_path: Path) -> None:
    folders = make_runs(tmp_path, 11)
    assert len(set(folders)) == 11
    assert newest_run_folder(tmp_path / "ours-quality") == folders[-1]
    assert load_run(tmp_path / "ours-quality").metrics["fd_lite0"].value == 10.0


def test_a_folder_with_a_record_is_its_own_run(tmp_path: Path) -> None:
    make_run("ours", fd_lite0=1.0).save(tmp_path)
    assert newest_run_folder(tmp_path) == tmp_path
    assert run_folders([tmp_path]) == [tmp_path]


def test_runs_are_found_below_a_folder_and_other_folders_are_skipped(tmp_path: Path) -> None:
    dated = make_runs(tmp_path, 2)
    (tmp_path / "train" / "checkpoints").mkdir(parents=True)
    named = make_run("b", fd_lite0=1.0).save(tmp_path / "theirs").parent
    assert run_folders([tmp_path]) == [*dated, named]
    assert run_folders([tmp_path / "train", named]) == [named]


def test_a_path_without_runs_stays_for_the_error_message(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    assert run_folders([tmp_path / "train"]) == [tmp_path / "train"]
    missing = tmp_path / "missing"
    record = make_run("b", fd_lite0=1.0).save(tmp_path / "theirs")
    assert run_folders([missing, record]) == [missing, record]
