"""Tables in four formats: names stay text in each of them."""

from __future__ import annotations

import csv
import io
import json

import pytest

from facebench.core.tables import Cell, Column, Table, encode_csv

HOSTILE = "<img src=x onerror=alert(1)> | 50 % & _under_ $x$ \\input{a}"


def example(name: str = "ours") -> Table:
    columns = [Column("model", "Model", numeric=False), Column("fid_clean", "fid_clean ↓")]
    rows = [
        [Cell(name), Cell("1.25", 1.25, small="[1.10, 1.40]", mark="best")],
        [Cell("theirs"), Cell("2.50†", 2.5, mark="second", title="few images")],
        [Cell("broken"), Cell("–", title="no reference")],
    ]
    return Table(columns, rows, caption="Quality", notes=["† few images"])


def test_best_is_bold_and_second_underlined() -> None:
    table = example()
    assert "<strong>1.25</strong>" in table.html()
    assert "<u>2.50†</u>" in table.html()
    assert r"\textbf{1.25} {\scriptsize [1.10, 1.40]}" in table.latex()
    assert r"\underline{2.50$^\dagger$}" in table.latex()
    assert "**1.25** [1.10, 1.40]" in table.markdown()


def test_csv_holds_numbers_that_read_back_and_empty_cells_for_no_value() -> None:
    rows = list(csv.DictReader(io.StringIO(example().csv())))
    assert [row["fid_clean"] for row in rows] == ["1.25", "2.5", ""]


def test_csv_and_json_hold_the_id_of_a_metric_without_its_arrow() -> None:
    columns = [Column("metric", "Metric", numeric=False), Column("value", "Value")]
    table = Table(columns, [[Cell("fid_clean ↓", key="fid_clean"), Cell("1.2", 1.25)]])
    assert list(csv.DictReader(io.StringIO(table.csv()))) == [{"metric": "fid_clean", "value": "1.25"}]
    assert json.loads(table.json()) == [{"metric": "fid_clean", "value": 1.25}]
    assert "↓" in table.markdown()
    assert "fid_clean ↓" in table.html()


def test_a_hostile_name_stays_text_in_every_format() -> None:
    table = example(HOSTILE)
    assert "<img" not in table.html()
    assert "<img" not in table.markdown()
    row = next(line for line in table.markdown().splitlines() if "img" in line)
    assert row.replace("\\|", "").count("|") == 3
    assert r"50 \% \& \_under\_ \$x\$ \textbackslash{}input\{a\}" in table.latex()


@pytest.mark.parametrize("method", ["markdown", "html", "latex", "csv"])
def test_a_line_break_anywhere_in_a_table_adds_no_line(method: str) -> None:
    def table(text: str) -> Table:
        columns = [Column(f"key{text}", f"Title{text}", numeric=False, about=text), Column("n", "n")]
        cell = Cell(f"ours{text}", small=f"[1, 2]{text}", title=text, history=((text, 1.0), (text, 2.0)))
        return Table(columns, [[cell, Cell("1", 1.0)]], caption=f"Caption{text}", notes=[f"note{text}"])

    hostile, harmless = (getattr(table(text), method)() for text in ("\r\n\\input{x}\x1b\u2028", "x"))
    assert len(hostile.splitlines()) == len(harmless.splitlines())
    assert "\x1b" not in hostile


@pytest.mark.parametrize("name", ["[1.0]", "*"])
def test_a_latex_row_never_starts_with_an_argument(name: str) -> None:
    lines = example(name).latex().splitlines()
    assert not [line for line in lines if line.startswith(("[", "*"))]
    assert f"{{}}{name} & " in example(name).latex()


def test_a_formula_in_a_name_or_a_header_of_a_csv_file_is_text() -> None:
    rows = list(csv.reader(io.StringIO(example("=cmd|' /C calc'!A0").csv())))
    assert rows[1][0].startswith("'=")
    header = Table([Column("=1+1", "x"), Column("n", "n", second=" @SUM(A1)")]).csv()
    assert header == "'=1+1,n,' @SUM(A1)\n"


def test_only_csv_beyond_ascii_starts_with_a_byte_order_mark() -> None:
    assert encode_csv(example("ours").csv()).startswith(b"model,")
    assert encode_csv(example("顔モデル").csv()).startswith(b"\xef\xbb\xbfmodel,")
