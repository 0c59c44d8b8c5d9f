"""LaTeX tables that fit the page: many columns are split into several tables, and wide ones are shrunk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from facebench.core.tables import Cell, Column, Table

MOST_METRICS = 8
"""Largest number of metrics in one table."""
_SHRINK = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""Scales its content to the width of the text if it is wider."""


def fitting_latex(table: Table) -> str:
    """Format as LaTeX with `booktabs` and `graphicx`; the tables of a split repeat the names of the models."""
    parts = _split(table)
    texts = [_fitting(replace(part, notes=table.notes if part is parts[-1] else [])) for part in parts]
    return "\n".join(texts)


def _fitting(table: Table) -> str:
    text = table.latex()
    text = text.replace(r"% needs \usepackage{booktabs}", r"% needs \usepackage{booktabs,graphicx}", 1)
    text = text.replace(r"\begin{tabular}", _SHRINK + "\n" + r"\begin{tabular}", 1)
    return text.replace(r"\end{tabular}", r"\end{tabular}}", 1)


def _split(table: Table) -> list[Table]:
    """Tables with the columns of names and at most eight metrics each, of about equal width."""
    names = [index for index, column in enumerate(table.columns) if not column.numeric]
    metrics = [index for index, column in enumerate(table.columns) if column.numeric]
    if len(metrics) <= MOST_METRICS:
        return [table]
    count = -(-len(metrics) // MOST_METRICS)
    size = -(-len(metrics) // count)
    chunks = [metrics[start : start + size] for start in range(0, len(metrics), size)]
    return [_columns(table, [*names, *chunk]) for chunk in chunks]


def _columns(table: Table, indices: Sequence[int]) -> Table:
    columns: list[Column] = [table.columns[index] for index in indices]
    rows: list[list[Cell]] = [[row[index] for index in indices] for row in table.rows]
    return Table(columns, rows, table.caption, table.notes, table.breaks)
