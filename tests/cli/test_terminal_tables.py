"""Tables on the terminal at 40, 80 and 200 columns: a table where it fits, lines otherwise, nothing cut."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from facebench.cli.choices import TableFormat
from facebench.cli.plain_tables import plain_lines
from facebench.cli.terminal_runs import print_groups, print_run
from facebench.cli.terminal_tables import print_table
from facebench.compare.leaderboard import Leaderboard
from facebench.core.tables import Cell, Column, Table
from facebench.evaluation.record import GroupResult, Run
from tests.cli.conftest import Command
from tests.helpers.records import make_run

WIDTHS = (40, 80, 200)
LONG = "identity_similarity_sface"


def console(width: int) -> Console:
    return Console(width=width, file=io.StringIO(), force_terminal=False)


def printed(shown: Console) -> str:
    assert isinstance(shown.file, io.StringIO)
    return shown.file.getvalue()


def grouped_run(groups: int) -> Run:
    run = make_run("ours", fd_lite0=1.25, **{LONG: 0.4})
    for index in range(groups):
        run.groups[f"identity=person-{index:03d}"] = {
            metric: GroupResult(**{**result.model_dump(), "value": (result.high or 0) - index / 1000}, p=0.5)
            for metric, result in run.metrics.items()
        }
    return run


def test_a_run_is_lines_at_40_columns_and_a_table_at_80() -> None:
    run = make_run("ours", **{LONG: 0.4})
    narrow, wide = console(40), console(80)
    print_run(narrow, run)
    print_run(wide, run)
    assert printed(narrow).splitlines() == [
        "ours · quality · compact",
        f"{LONG} ↑",
        "  Value          0.400",
        "  95 % interval  [0.360, 0.440]",
        "  n              2,000",
    ]
    assert f"│ {LONG} ↑ │ 0.400 │ [0.360, 0.440] │ 2,000 │" in printed(wide)


@pytest.mark.parametrize("groups", [3, 12, 300])
@pytest.mark.parametrize("width", WIDTHS)
def test_groups_fit_and_no_id_or_name_is_cut(width: int, groups: int) -> None:
    shown = console(width)
    print_groups(shown, grouped_run(groups))
    text = printed(shown)
    assert max(map(len, text.splitlines())) <= width
    assert f"{LONG} ↑" in text
    assert "person-000 0.440" in text
    assert len(text.splitlines()) < 100


@pytest.mark.parametrize("width", WIDTHS)
def test_a_leaderboard_fits_and_no_name_is_cut(width: int) -> None:
    runs = [make_run(f"model-{i}-with-a-long-name", fd_lite0=1.0 + i, **{LONG: 0.4}) for i in range(6)]
    shown = console(width)
    for table in Leaderboard.from_runs(runs, published=True).tables:
        print_table(shown, table.transposed())
    text = printed(shown)
    assert max(map(len, text.splitlines())) <= width
    assert all(run.name in text for run in runs)
    assert "6.00" in text


def test_the_format_can_be_forced() -> None:
    run = make_run("ours", fd_lite0=1.25)
    plain, table = console(80), console(40)
    print_run(plain, run, style=TableFormat.plain)
    print_run(table, make_run("ours", **{LONG: 0.4}), style=TableFormat.table)
    assert "fd_lite0 ↓   1.25   [1.12, 1.38]  2,000" in printed(plain)
    assert "━" not in printed(plain)
    assert "━" in printed(table)


def test_only_columns_of_sentences_are_wrapped() -> None:
    columns = [
        Column("metric", "Metric", numeric=False), Column("value", "Value"), Column("why", "Why", numeric=False)
    ]  # fmt: skip
    table = Table(columns, [[Cell(LONG), Cell("1.25"), Cell("this sentence is longer than the column " * 2)]])
    shown = console(70)
    print_table(shown, table)
    assert "━" in printed(shown)
    assert f"│ {LONG} │  1.25 │" in printed(shown)


def test_wide_characters_are_aligned_and_names_stay_text() -> None:
    columns = [Column("model", "Model", numeric=False), Column("value", "Value")]
    lines = plain_lines(Table(columns, [[Cell("顔"), Cell("1")], [Cell("a\x1b[31m"), Cell("2")]]), 80)
    assert lines == ["Model      Value", "顔             1", "a\\x1b[31m      2"]


def test_a_row_without_values_is_one_line() -> None:
    table = Table([Column("m", "M", numeric=False), Column("v", "V")], [[Cell("a" * 30), Cell("–")]])
    assert plain_lines(table, 10) == ["a" * 30 + " –"]


def test_the_leaderboard_prints_csv_and_json(facebench: Command, tmp_path: Path) -> None:
    for name, value in (("=good", 1.0), ("bad", 5.0)):
        make_run(name, fd_lite0=value).save(tmp_path / name)
    folders = sorted(tmp_path.iterdir())
    rows = list(csv.DictReader(io.StringIO(facebench("leaderboard", *folders, "--format", "csv").stdout)))
    assert [(row["model"], float(row["fd_lite0"])) for row in rows] == [("'=good", 1.0), ("bad", 5.0)]
    content = json.loads(facebench("leaderboard", *folders, "--format", "json").stdout)
    assert [(row["board"], row["model"], row["value"]) for row in content] == [
        (1, "=good", 1.0),
        (1, "bad", 5.0),
    ]


LISTS = [
    ["published"],
    ["published", "id-booth-quality"],
    ["protocols"],
    ["protocols", "leakage"],
    ["protocols", "recognition-utility"],
    ["metrics", "--kind", "quality"],
    ["weights", "list"],
    ["networks", "list"],
    ["store", "info"],
]


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_every_list_is_written_for_programs(facebench: Command, words: list[str]) -> None:
    header, *lines = csv.reader(io.StringIO(facebench(*words, "--format", "csv").stdout))
    rows = json.loads(facebench(*words, "--format", "json").stdout)
    assert len(rows) == len(lines)
    assert all(set(row) <= set(header) for row in rows) or words[0] == "metrics"


@pytest.mark.parametrize(("width", "lang"), [(40, "en"), (40, "ja"), (80, "ja"), (200, "en")])
@pytest.mark.parametrize("words", LISTS[1:7], ids=" ".join)
def test_every_list_fits_the_terminal(
    facebench: Command, monkeypatch: pytest.MonkeyPatch, words: list[str], width: int, lang: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = facebench(*words, "--format", "plain", "--lang", lang).stdout.splitlines()
    wide = [line for line in lines if cell_len(line) > width and not line.startswith(("Folder", "フォルダ"))]
    assert all(" " not in line.strip() for line in wide), "only single words are wider"
    bordered = [line for line in facebench(*words, "--lang", lang).stdout.splitlines() if "│" in line]
    assert all(cell_len(line) <= width for line in bordered)


def test_a_sentence_is_wrapped_inside_its_column_and_words_stay_whole() -> None:
    about = "distance between the two sets of features, in the units of the network"
    columns = [Column("id", "Id", numeric=False), Column("about", "About", numeric=False)]
    shown = console(60)
    print_table(shown, Table(columns, [[Cell(LONG), Cell(about)]]))
    cells = [line.split("│")[2].strip() for line in printed(shown).splitlines() if line.startswith("│")]
    assert len(cells) > 1
    assert " ".join(cells) == about
