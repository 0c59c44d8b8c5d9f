"""The same table in four formats; nothing in a name can break out of any of them."""

from __future__ import annotations

import csv
import io

from facebench.core.tables import Cell, Column, Table

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


def test_a_hostile_name_stays_text_in_every_format() -> None:
    table = example(HOSTILE)
    assert "<img" not in table.html()
    assert "<img" not in table.markdown()
    row = next(line for line in table.markdown().splitlines() if "img" in line)
    assert row.replace("\\|", "").count("|") == 3
    assert r"50 \% \& \_under\_ \$x\$ \textbackslash{}input\{a\}" in table.latex()


def test_a_name_that_a_spreadsheet_would_run_is_quoted() -> None:
    rows = list(csv.reader(io.StringIO(example("=cmd|' /C calc'!A0").csv())))
    assert rows[1][0].startswith("'=")
