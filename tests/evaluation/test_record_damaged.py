"""Damaged or foreign records and companion files: an error that names the file, without a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from facebench.cli import app
from facebench.compare.leaderboard import Leaderboard
from facebench.core.errors import InputError
from facebench.evaluation.record import load_run
from facebench.report.pages.run import report_page
from tests.helpers.records import make_run
from tests.helpers.run_folders import make_report_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_report_run(tmp_path / "made", "ours").save(tmp_path / "run").parent


def without_generated(folder: Path) -> None:
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    (folder / "record.json").write_text(json.dumps({**record, "inputs": {}}), encoding="utf-8")


def curves(text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "curves.json").write_text(text, encoding="utf-8")

    return write


def foreign_table(folder: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(folder / "per_image.parquet")


def broken_table(folder: Path) -> None:
    (folder / "per_image.parquet").write_bytes(b"junk")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (without_generated, "no generated images"),
        (curves("[1]"), "curves.json is not a JSON object"),
        (curves('{"scores": [{}]}'), "curves.json lacks against"),
        (curves('{"frechet": [{"metric": "fd_lite0"}]}'), "curves.json lacks distances, sizes"),
        (curves('{"map": {"backbone": "x"}}'), "curves.json lacks explained"),
        (curves("{"), "is damaged"),
        (foreign_table, "per_image.parquet has no column image, role"),
        (broken_table, "is damaged"),
    ],
)
def test_a_damaged_run_folder_is_refused_with_the_reason(
    folder: Path, damage: Callable[[Path], None], said: str
) -> None:
    damage(folder)
    with pytest.raises(InputError, match=said):
        load_run(folder)


def test_a_table_of_images_without_fingerprints_shows_no_images(folder: Path) -> None:
    table = pd.read_parquet(folder / "per_image.parquet").drop(columns=["sha256", "face_score"])
    table.to_parquet(folder / "per_image.parquet")
    page = report_page([load_run(folder)])
    assert 'class="thumb"' not in page
    assert "20.00" in page


@pytest.mark.parametrize("option", ["--csv", "--html", "--latex", "--markdown"])
def test_a_board_that_cannot_be_written_says_so(tmp_path: Path, option: str) -> None:
    record = make_run("ours", fd_lite0=1.0).save(tmp_path / "run")
    (tmp_path / "file").write_text("mine")
    done = CliRunner().invoke(app, ["leaderboard", str(record), option, str(tmp_path / "file" / "board")])
    assert isinstance(done.exception, InputError)
    assert "cannot be written" in str(done.exception)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_board_needs_a_place_that_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        Leaderboard.from_runs([make_run("a", fd_lite0=1.0)]).to_csv(tmp_path)
