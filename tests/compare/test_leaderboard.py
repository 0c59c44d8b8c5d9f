"""Leaderboards: the best is marked, and runs that are not comparable are on separate boards."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from facebench.cli import app
from facebench.compare.leaderboard import Leaderboard
from facebench.core.errors import InputError
from facebench.evaluation.record import Run
from tests.helpers.quality_runs import quality, with_quality
from tests.helpers.records import make_result, make_run


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_card_decides_whether_lower_or_higher_is_best() -> None:
    board = Leaderboard.from_runs(
        [
            make_run("a", fd_lite0=3.0, recall_lite0=0.2),
            make_run("b", fd_lite0=1.0, recall_lite0=0.9),
            make_run("c", fd_lite0=2.0, recall_lite0=0.5),
        ]
    ).boards[0]
    table = board.table()
    assert [row[0].text for row in table.rows] == ["b", "c", "a"]
    assert [row[1].text for row in table.rows] == ["1", "2", "3"]
    marks = [[cell.mark for cell in row[2:]] for row in table.rows]
    assert marks == [["best", "best"], ["second", "second"], ["", ""]]


def test_a_metric_without_direction_has_no_best() -> None:
    board = Leaderboard.from_runs(
        [make_run("a", genuine_std_sface=0.1), make_run("b", genuine_std_sface=0.2)]
    ).boards[0]
    assert {cell.mark for row in board.table().rows for cell in row} == {""}


def test_equal_values_share_the_mark() -> None:
    board = Leaderboard.from_runs(
        [make_run("a", fd_lite0=1.0), make_run("b", fd_lite0=1.0), make_run("c", fd_lite0=2.0)]
    ).boards[0]
    assert [row[2].mark for row in board.table().rows] == ["best", "best", "second"]
    assert board.table().best("fd_lite0") == ["a", "b"]


def test_a_missing_value_is_a_dash_with_its_reason_and_never_best() -> None:
    board = Leaderboard.from_runs([make_run("a", fd_lite0=None), make_run("b", fd_lite0=1.0)]).boards[0]
    cell = board.table().rows[1][1]
    assert "No value, needs a reference set: fd_lite0." in board.table().notes
    assert (cell.text, cell.title, cell.mark) == ("–", "needs a reference set", "")


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (make_run("b", fd_lite0=1.0, reference="q" * 64), "different reference set"),
        (make_run("b", fd_lite0=1.0, images=1000), "n = 1000, not 2000, and fd_lite0 depends on n"),
        (make_run("b", fd_lite0=1.0).model_copy(update={"suite": "paper"}), "suite paper, not compact"),
        (make_run("b", fd_lite0=1.0).model_copy(update={"protocol": "edit"}), "protocol edit, not quality"),
    ],
)
def test_runs_that_are_not_comparable_are_on_separate_boards_with_the_reason(other: Run, reason: str) -> None:
    boards = Leaderboard.from_runs([make_run("a", fd_lite0=2.0), other]).boards
    assert len(boards) == 2
    assert boards[1].separation_reasons == [reason]
    assert f"Separate table: {reason}." in boards[1].table().notes


def test_runs_with_different_weights_or_preprocessing_are_on_separate_boards() -> None:
    first, second = make_run("a", fd_lite0=2.0), make_run("b", fd_lite0=1.0)
    second.backbones["lite0"].preprocessing = "p-v2"
    assert Leaderboard.from_runs([first, second]).boards[1].separation_reasons == [
        "different preprocessing of lite0"
    ]
    second.backbones["lite0"].sha256 = "x" * 64
    assert "different weights of lite0" in Leaderboard.from_runs([first, second]).boards[1].separation_reasons


def test_one_unreadable_file_does_not_split_a_board() -> None:
    assert (
        len(
            Leaderboard.from_runs(
                [make_run("a", fd_lite0=2.0), make_run("b", fd_lite0=1.0, images=1999)]
            ).boards
        )
        == 1
    )


def test_csv_is_stable_and_contains_every_run(tmp_path: Path) -> None:
    runs = [make_run("a", fd_lite0=1 / 3), make_run("b", fd_lite0=1.0, recall_lite0=0.5, images=10)]
    file = tmp_path / "board.csv"
    text = Leaderboard.from_runs(runs).to_csv(file)
    assert file.read_text(encoding="utf-8") == text == Leaderboard.from_runs(runs).to_csv()
    assert text.splitlines()[0].startswith(
        "board,model,protocol,suite,created,apart,unofficial_weights,n,fd_lite0,fd_lite0_low,fd_lite0_high"
    )
    assert [(row["board"], row["model"], row["fd_lite0"], row["recall_lite0"]) for row in rows(text)] == [
        ("1", "a", "0.333333", ""),
        ("2", "b", "1", "0.5"),
    ]


def test_the_page_is_self_contained_and_shows_a_hostile_name_as_text() -> None:
    page = Leaderboard.from_runs([make_run("<img src=x onerror=alert(1)>", fd_lite0=1.0)]).to_html()
    assert "<img" not in page
    assert "&lt;img src=x" in page
    assert "http://" not in page
    assert "https://" not in page


def test_runs_are_read_from_folders_and_from_records(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    make_run("a", fd_lite0=1.0).save(folder)
    record = make_run("b", fd_lite0=2.0).save(tmp_path / "b")
    board = Leaderboard.from_runs([folder, record]).boards[0]
    assert [run.name for run in board.runs] == ["a", "b"]


def test_a_metric_without_any_value_has_no_column() -> None:
    board = Leaderboard.from_runs([make_run("a", fd_lite0=1.0, recall_lite0=None)]).boards[0]
    assert [column.key for column in board.table().columns] == ["model", "fd_lite0"]


def test_on_a_terminal_metrics_are_rows_and_models_columns() -> None:
    table = (
        Leaderboard.from_runs([make_run("a", fd_lite0=1.0), make_run("b", fd_lite0=2.0)]).boards[0].table()
    )
    transposed = table.transposed()
    assert [column.title for column in transposed.columns] == ["", "a", "b"]
    rows_shown = [[cell.text for cell in row] for row in transposed.rows]
    assert rows_shown == [["Rank", "1", "2"], ["fd_lite0 ↓", "1.00", "2.00"]]


def dated(name: str, day: int, **values: float | None) -> Run:
    created = datetime(2026, 1, day, tzinfo=timezone.utc)
    return make_run(name, **values).model_copy(update={"created": created})


def test_the_newest_run_of_a_model_is_ranked_and_the_others_are_its_history() -> None:
    runs = [dated("a", 3, fd_lite0=3.0), dated("b", 1, fd_lite0=2.0), dated("a", 1, fd_lite0=1.0)]
    board = Leaderboard.from_runs(runs)
    table = board.boards[0].table()
    assert [row[0].text for row in table.rows] == ["b", "a"]
    assert [row[2].mark for row in table.rows] == ["best", "second"]
    assert [value for _, value in table.rows[1][2].history] == [1.0, 3.0]
    assert table.rows[0][2].history == ()
    assert any(note.startswith("a: newest of 2 runs with this name") for note in table.notes)
    assert [row["fd_lite0"] for row in rows(board.to_csv())] == ["3", "2", "1"]


def test_runs_with_the_same_name_and_different_tags_are_different_models() -> None:
    runs = [dated("a", day, fd_lite0=1.0).model_copy(update={"tags": {"data": str(day)}}) for day in (1, 2)]
    assert len(Leaderboard.from_runs(runs).boards[0].table().rows) == 2


def test_a_metric_of_an_older_run_is_only_in_the_csv() -> None:
    board = Leaderboard.from_runs(
        [dated("a", 1, fd_lite0=1.0, recall_lite0=0.5), dated("a", 2, fd_lite0=2.0)]
    )
    assert [column.key for column in board.boards[0].table().columns] == ["model", "fd_lite0"]
    assert rows(board.to_csv())[0]["recall_lite0"] == "0.5"


def test_a_board_names_its_reference_or_source_data() -> None:
    assert Leaderboard.from_runs([make_run("a", fd_lite0=1.0)]).boards[0].dataset == "reference"
    edits = make_run("b", fd_lite0=1.0)
    edits.inputs.pop("reference")
    edits.inputs["source"] = edits.inputs["generated"].model_copy(update={"path": "/data/set/manifest.csv"})
    assert Leaderboard.from_runs([edits]).boards[0].dataset == "set"


def near(*values: float, half_width: float = 2.0) -> list[Run]:
    """Runs with intervals of equal width, and no per-image tables."""
    runs = [make_run(f"m{i}", fd_lite0=value) for i, value in enumerate(values)]
    for run, value in zip(runs, values, strict=True):
        interval = {"low": value - half_width, "high": value + half_width}
        run.metrics["fd_lite0"] = make_result("fd_lite0", value, **interval)
    return runs


def test_models_that_cannot_be_told_apart_are_all_best() -> None:
    table = Leaderboard.from_runs(near(20.0, 20.001, 19.999, 20.004)).tables[0]
    assert [row[2].mark for row in table.rows] == ["best"] * 4
    assert [row[1].text for row in table.rows] == ["1–4"] * 4
    assert len(table.best("fd_lite0")) == 4


def test_the_second_mark_follows_the_same_rule() -> None:
    table = Leaderboard.from_runs(near(20, 21, 30, 31, 40, half_width=2)).tables[0]
    assert [row[2].mark for row in table.rows] == ["best", "best", "second", "second", ""]
    assert [row[1].text for row in table.rows] == ["1–2", "1–2", "3–4", "3–4", "5"]


def test_values_that_print_the_same_share_a_mark() -> None:
    runs = [make_run("a", fd_lite0=1.0), make_run("b", fd_lite0=1.0), make_run("c", fd_lite0=3.0)]
    runs[0].metrics["fd_lite0"] = make_result("fd_lite0", 1.001, low=1.0009, high=1.0011)
    runs[1].metrics["fd_lite0"] = make_result("fd_lite0", 1.004, low=1.0039, high=1.0041)
    assert Leaderboard.from_runs(runs).tables[0].best("fd_lite0") == ["a", "b"]


def test_shared_images_separate_models_that_intervals_alone_do_not() -> None:
    rng = np.random.default_rng(0)
    hardness = quality()
    runs = [
        with_quality(make_run(name), hardness - loss + rng.normal(0, 0.01, 200), prefix="")
        for name, loss in (("a", 0.0), ("b", 0.0), ("c", 0.01))
    ]
    assert Leaderboard.from_runs(runs).tables[0].best("face_quality_sface") == ["a", "b"]
    for run in runs:
        run._per_image = None
    assert Leaderboard.from_runs(runs).tables[0].best("face_quality_sface") == ["a", "b", "c"]


def test_the_best_model_is_marked_at_the_stated_level() -> None:
    """Ten equal models: each is marked in 95 % of samples."""
    rng = np.random.default_rng(1)
    marked = []
    for _ in range(60):
        runs = near(*(20 + rng.normal(0, 1, 10)), half_width=1.96)
        marked.append(len(Leaderboard.from_runs(runs).tables[0].best("fd_lite0")) / 10)
    assert np.mean(marked) == pytest.approx(0.95, abs=0.035)  # three standard errors


def seeded(name: str, seed: int, value: float) -> Run:
    run = make_run(name, fd_lite0=value).model_copy(update={"tags": {"seed": str(seed)}})
    run.metrics["fd_lite0"] = make_result("fd_lite0", value, low=value - 0.1, high=value + 0.1)
    return run


def test_runs_with_a_seed_are_one_model_with_mean_spread_and_interval() -> None:
    values = {"ours": (10.0, 12.0, 14.0), "theirs": (11.0, 13.0, 15.0)}
    runs = [
        seeded(f"{name}-seed{i}", i, value) for name, each in values.items() for i, value in enumerate(each)
    ]
    table = Leaderboard.from_runs(runs).tables[0]
    assert [row[0].text for row in table.rows] == ["ours", "theirs"]
    assert [row[2].text for row in table.rows] == ["12.00", "13.00"]
    reach = 2 / 3**0.5 * 2.776  # t with the four degrees of freedom of two models with three runs
    assert table.rows[0][2].small == f"[{12 - reach:.2f}, {12 + reach:.2f}] sd 2.00 of 3 seeds"
    assert table.best("fd_lite0") == ["ours", "theirs"]
    apart = [seeded(name, 0, value) for name, value in (("ours", 12.0), ("theirs", 13.0))]
    assert Leaderboard.from_runs(apart).tables[0].best("fd_lite0") == ["ours"]


def test_sorting_columns_and_names_can_be_chosen(tmp_path: Path) -> None:
    runs = [make_run("a", fd_lite0=1.0, recall_lite0=0.2), make_run("b", fd_lite0=2.0, recall_lite0=0.9)]
    table = Leaderboard.from_runs(
        runs, sort="recall_lite0", metrics=["recall_lite0"], labels={"b": "Our model"}
    ).tables[0]
    assert [column.key for column in table.columns] == ["model", "rank", "recall_lite0"]
    assert [row[0].text for row in table.rows] == ["Our model", "a"]
    folders = [str(run.save(tmp_path / run.name).parent) for run in runs]
    options = ["--sort", "recall_lite0", "--metrics", "recall_lite0", "--labels", "b=Our model"]
    done = CliRunner().invoke(app, ["leaderboard", *folders, *options], env={"COLUMNS": "100"})
    assert done.exit_code == 0, done.output
    assert "Our model" in done.output
    assert "fd_lite0" not in done.output
    for wrong in (["--sort", "fd_lite"], ["--metrics", "fd_lite"], ["--labels", "c=x"], ["--labels", "x"]):
        assert CliRunner().invoke(app, ["leaderboard", *folders, *wrong]).exit_code != 0
    with pytest.raises(InputError, match="no metric 'fd_lite'"):
        table.best("fd_lite")


HOSTILE = "a\n\\input{/etc/passwd}\r\x1b[31m"


def test_names_tags_and_notes_add_no_line_to_any_output() -> None:
    def outputs(text: str) -> list[str]:
        run, again = dated(text, 1, fd_lite0=1.0, recall_lite0=None), dated(text, 2, fd_lite0=2.0)
        run.metrics["fd_lite0"].note = again.metrics["fd_lite0"].note = f"few images {text}"
        run.metrics["recall_lite0"].reason = f"no reference {text}"
        board = Leaderboard.from_runs([run, again])
        return [board.to_csv(), board.to_markdown(), board.to_latex(), board.boards[0].table().html()]

    for hostile, harmless in zip(outputs(HOSTILE), outputs("ours"), strict=True):
        assert len(hostile.splitlines()) == len(harmless.splitlines())
        assert "\x1b" not in hostile


def test_the_csv_file_opens_in_excel_and_reads_back(tmp_path: Path) -> None:
    file = tmp_path / "board.csv"
    text = Leaderboard.from_runs([make_run("顔モデル", fd_lite0=1.0)]).to_csv(file)
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    assert file.read_text(encoding="utf-8-sig") == text


def test_dates_with_and_without_a_time_zone_are_ordered() -> None:
    old = make_run("a", fd_lite0=1.0).model_copy(update={"created": datetime(2026, 1, 1)})
    board = Leaderboard.from_runs([dated("a", 2, fd_lite0=2.0), old]).boards[0]
    assert [value for _, value in board.table().rows[0][1].history] == [1.0, 2.0]
