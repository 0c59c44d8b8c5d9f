"""Published values: complete, consistent, always marked, never ranked with measured ones."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from facebench.cli import app
from facebench.compare.leaderboard import Leaderboard
from facebench.compare.published import published_rows, published_table, tables
from facebench.core.errors import InputError
from facebench.evaluation.protocols import find_protocol
from facebench.evaluation.record import Run
from tests.helpers.paths import REPOSITORY
from tests.helpers.records import make_run

FOLDER = REPOSITORY / "results" / "published"


def lines(name: str) -> list[dict[str, str]]:
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def paper_run(name: str, prompt: str, **values: float) -> Run:
    """A run of the protocol id-booth, paper suite; in metric names __ stands for @."""
    plain = make_run(name, **{metric.partition("__")[0]: value for metric, value in values.items()})
    metrics = {metric.replace("__", "@"): plain.metrics[metric.partition("__")[0]] for metric in values}
    tags = {"base": "SD-XL", "prompt": prompt}
    change = {"protocol": "id-booth", "suite": "paper", "tags": tags, "metrics": metrics}
    return plain.model_copy(update=change)


def test_fisher_ratios_follow_from_the_published_means_and_spreads() -> None:
    rows = lines("id-booth-identity")
    assert len(rows) == 25
    for row in rows:
        genuine, impostor = float(row["genuine_mean"]), float(row["impostor_mean"])
        spreads = np.array([float(row["genuine_std"]), float(row["impostor_std"])])
        # A printed number represents all numbers that round to it.
        widest = [
            (genuine - impostor + 2 * half) ** 2 / np.sum((spreads - half) ** 2) for half in (-0.0005, 0.0005)
        ]
        printed = float(row["fdr"])
        assert widest[0] <= printed <= widest[1], row
        exact = (genuine - impostor) ** 2 / np.sum(spreads**2)
        assert round(abs(exact / printed - 1), 2) <= 0.01, row


def test_averages_of_the_utility_table_are_those_of_its_four_test_sets() -> None:
    rows = lines("id-booth-utility")
    assert len(rows) == 13
    for row in rows:
        accuracies = [float(row[key]) for key in ("agedb_30", "ca_lfw", "cfp_fp", "cp_lfw")]
        # Half a digit of rounding in the four numbers, and half in the result.
        assert np.mean(accuracies) == pytest.approx(float(row["average"]), abs=0.001)
        assert np.std(accuracies) == pytest.approx(float(row["average_std"]), abs=0.001)


def test_distances_between_the_two_real_sets_are_the_same_in_both_directions() -> None:
    rows = {row["model"]: row for row in lines("id-booth-quality")}
    for metric in ("fid", "cmmd"):
        assert rows["TFD"][f"{metric}_ffhq"] == rows["FFHQ"][f"{metric}_tfd"]


@pytest.mark.parametrize("protocol", ["id-booth", "id-booth-released"])
def test_every_published_row_is_found_with_metrics_of_the_protocol(protocol: str) -> None:
    rows = published_rows(protocol)
    assert len(rows) == 18
    known = {metric for metrics in find_protocol(protocol).suites.values() for metric in metrics}
    assert {metric.partition("@")[0] for row in rows for metric in row.metrics} <= known
    row = next(r for r in rows if (r.name, r.tags) == ("ID-Booth", {"base": "SD-XL", "prompt": "Complex"}))
    suffix = "_released" if protocol.endswith("released") else ""
    assert row.metrics[f"fdr_arcface_real{suffix}@TFD"].value == 16.473
    assert row.metrics[f"fdr_arcface{suffix}"].value == 10.492
    assert row.metrics["cmmd@FFHQ"].value == 0.999


def test_a_protocol_without_published_numbers_has_none() -> None:
    assert published_rows("quality") == []


def test_blocks_contain_runs_first_and_then_marked_published_rows_without_rank() -> None:
    runs = [
        paper_run("mine", "Complex", fid_clean__TFD=50.0, eer_arcface=0.05),
        paper_run("other", "Complex", fid_clean__TFD=60.0, eer_arcface=0.04),
        paper_run("mine", "Base", fid_clean__TFD=30.0, eer_arcface=0.01),
    ]
    table = Leaderboard.from_runs(runs, published=True).boards[0].table()
    assert [column.key for column in table.columns] == [
        "base",
        "prompt",
        "model",
        "rank",
        "fid_clean@TFD",
        "eer_arcface",
    ]
    names = [row[2].text for row in table.rows]
    methods = ("no fine-tuning", "DreamBooth", "PortraitBooth", "ID-Booth")
    assert names[:6] == ["mine", "other", *(f"{method} (published)" for method in methods)]
    assert [row[0].text for row in table.rows[:3]] == ["SD-XL", "", ""]
    assert table.breaks[0] == 6
    marks = {(row[2].text, row[4].mark) for row in table.rows}
    assert {("mine", "best"), ("other", "second")} <= marks
    assert {mark for name, mark in marks if "(published)" in name} == {""}
    assert sum("(published)" in name for name in names) == 18
    assert any("values published by Tomašević et al. 2025" in note for note in table.notes)


def test_published_rows_are_shown_only_on_request() -> None:
    assert "published" not in Leaderboard.from_runs([paper_run("mine", "Base", eer_arcface=0.1)]).to_csv()


def test_compact_runs_never_share_columns_with_published_numbers() -> None:
    run = make_run("mine", fd_lite0=1.0).model_copy(update={"protocol": "id-booth"})
    board = Leaderboard.from_runs([run], published=True)
    assert [cell.text for row in board.boards[0].table().rows for cell in row][2] == "mine"
    assert len(board.boards[0].table().rows) == 1
    alone = board.tables[1]
    assert alone.caption == "id-booth · published"
    assert len(alone.rows) == 18
    assert "fd_lite0" not in [column.key for column in alone.columns]


def test_every_format_has_the_layout_of_the_paper() -> None:
    run = make_run("mine", fd_lite0=1.0).model_copy(update={"protocol": "id-booth"})
    table = Leaderboard.from_runs([run], published=True).tables[1]
    latex, markdown, html = table.latex(), table.markdown(), table.html()
    assert r"\underline{2.141 $\pm$ 0.227}" in latex
    assert r"\textbf{2.144 $\pm$ 0.220}" in latex
    assert latex.count(r"\midrule") == 1 + 4
    assert "**2.144 ± 0.220**" in markdown
    assert "<strong>2.144 ± 0.220</strong>" in html
    assert html.count('<tr class="block">') == 4
    rows = list(csv.DictReader(io.StringIO(table.csv())))
    assert (rows[-1]["cr_fiqa_s"], rows[-1]["cr_fiqa_s_std"]) == ("2.144", "0.22")
    assert r"fid\_clean@TFD ↓" in markdown


def test_published_rows_are_marked_in_csv_and_on_the_page(tmp_path: Path) -> None:
    board = Leaderboard.from_runs([paper_run("mine", "Base", eer_arcface=0.1)], published=True)
    rows = list(csv.DictReader(io.StringIO(board.to_csv())))
    assert [row["board"] for row in rows] == ["1", *["published"] * 12]
    assert all(row["apart"].startswith("published by Tomašević") for row in rows[1:])
    assert "ID-Booth (published)" in board.to_html(tmp_path / "board")


def test_the_commands_print_published_tables(tmp_path: Path) -> None:
    run = make_run("mine", fd_lite0=1.0).model_copy(update={"protocol": "id-booth"}).save(tmp_path / "run")
    done = CliRunner().invoke(app, ["leaderboard", str(run), "--with-published"], env={"COLUMNS": "400"})
    assert done.exit_code == 0, done.output
    assert "(published)" in done.output
    listed = CliRunner().invoke(app, ["published", "--format", "csv"]).output.splitlines()[1:]
    assert [line.split(",")[0] for line in listed] == list(tables())
    assert (
        "0.575" in CliRunner().invoke(app, ["published", "id-booth-utility"], env={"COLUMNS": "200"}).output
    )


def test_an_unknown_table_is_an_error_that_lists_close_matches() -> None:
    with pytest.raises(InputError, match="Did you mean id-booth-utility"):
        published_table("idbooth-utility")
