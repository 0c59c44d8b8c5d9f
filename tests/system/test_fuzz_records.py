"""Damaged run folders: a result or one line that names the file, in every command that reads records."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facebench.compare.gate import check
from facebench.compare.leaderboard import Leaderboard
from facebench.core.errors import FacebenchError
from facebench.core.json_files import parse_json
from facebench.core.yaml_text import parse_yaml
from facebench.evaluation.record import Run
from facebench.evaluation.record_reading import load_run
from facebench.report.pages.run import report_page
from tests.helpers.mutator import FACTOR, cases, mutate, mutate_json, within
from tests.helpers.run_folders import make_report_run


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    return make_report_run(folder / "made", "ours", n=12).save(folder / "run").parent


@pytest.fixture
def damaged(intact: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(intact, tmp_path / "damaged"))


def use(folder: Path, other: Run, *, page: bool) -> None:
    """Read a run, compare it with another, and write every format."""
    try:
        with within(60):
            run = load_run(folder)
            board = Leaderboard.from_runs([run, other])
            for text in (board.to_csv(), board.to_markdown(), board.to_latex(), board.to_html()):
                text.encode("utf-8")
            json.loads(run.to_json(), parse_constant=pytest.fail)
            run.to_frame()
            if page:
                report_page([run]).encode("utf-8")
            check(run, other)
    except FacebenchError as error:
        assert str(error)  # noqa: PT017 - both outcomes are right


def test_a_damaged_record_is_read_or_refused(intact: Path, damaged: Path) -> None:
    content, other = json.loads((intact / "record.json").read_text(encoding="utf-8")), load_run(intact)
    for seed in cases(200):
        (damaged / "record.json").write_text(mutate_json(content, seed), encoding="utf-8")
        use(damaged, other, page=seed % 20 == 0)


def test_damaged_curves_are_read_or_refused(intact: Path, damaged: Path) -> None:
    content, other = json.loads((intact / "curves.json").read_text(encoding="utf-8")), load_run(intact)
    for seed in cases(100):
        (damaged / "curves.json").write_text(mutate_json(content, seed), encoding="utf-8")
        use(damaged, other, page=seed % 4 == 0)


@pytest.mark.parametrize("name", ["record.json", "curves.json", "per_image.parquet"])
def test_damaged_bytes_of_a_run_folder_are_read_or_refused(intact: Path, damaged: Path, name: str) -> None:
    content, other = (intact / name).read_bytes(), load_run(intact)
    for seed in cases(60):
        (damaged / name).write_bytes(mutate(content, seed))
        use(damaged, other, page=seed % 20 == 0)


@settings(max_examples=200 * FACTOR, derandomize=FACTOR == 1, deadline=None)
@given(st.text())
def test_text_is_json_or_a_value_error(text: str) -> None:
    for parse in (parse_json, parse_yaml):
        try:
            parse(text)
        except ValueError as error:
            assert "\n" not in str(error)  # noqa: PT017 - both outcomes are right
