"""Tables as plain lines, for terminals that are narrower than the table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from facebench.cli.wrapping import wrap
from facebench.core.escape import escape_terminal
from facebench.core.tables import EMPTY, Cell, Column, Table

_GAP = "  "


def plain_lines(table: Table, width: int) -> list[str]:
    """Format a table as lines without borders.

    A table that fits has one line for each row. Otherwise each row is a block: the first cell, then one indented line
    for each further cell that has a value. Words, such as metric ids, are never cut.

    Args:
        table: the table, without its caption and notes.
        width: number of characters in a line.

    Example:
        >>> columns = [Column("metric", "Metric", numeric=False), Column("value", "Value")]
        >>> table = Table(columns, [[Cell("fd_lite0"), Cell("1.25", small="[1.10, 1.40]")]])
        >>> plain_lines(table, 40)
        ['Metric           Value', 'fd_lite0  1.25 [1.10, 1.40]']
        >>> plain_lines(table, 24)
        ['fd_lite0', '  Value', '    1.25 [1.10, 1.40]']
    """
    lines = _aligned(table)
    if max(map(cell_len, lines), default=0) <= width:
        return lines
    return [line for row in table.rows for line in _block(row, table.columns, width)]


def cell_text(cell: Cell) -> str:
    """Return the text of a cell on one line, followed by its small text."""
    return escape_terminal(f"{cell.text} {cell.small}".strip())


def _aligned(table: Table) -> list[str]:
    """One line for each row, below a line of headings."""
    rows = [[escape_terminal(column.title) for column in table.columns]]
    rows += [[cell_text(cell) for cell in row] for row in table.rows]
    widths = [max(cell_len(row[index]) for row in rows) for index in range(len(table.columns))]
    return [
        _GAP.join(
            _padded(text, size, right=column.numeric)
            for text, size, column in zip(row, widths, table.columns, strict=True)
        ).rstrip()
        for row in rows
    ]


def _block(row: Sequence[Cell], columns: Sequence[Column], width: int) -> list[str]:
    """Lines of one row: its first cell, then the other cells with their headings."""
    entries = [
        (escape_terminal(column.title), cell_text(cell))
        for cell, column in zip(row[1:], columns[1:], strict=True)
        if cell.text not in EMPTY
    ]
    lines = [cell_text(row[0]), *_entries(entries, width)]
    return lines if entries else [f"{lines[0]} –"]


def _entries(entries: Sequence[tuple[str, str]], width: int) -> list[str]:
    """Indented lines of headings and values; long values are wrapped below their heading."""
    size = max((cell_len(title) for title, _ in entries), default=0)
    lines = []
    for title, text in entries:
        line = f"{_GAP}{_padded(title, size)}{_GAP}{text}".rstrip()
        if cell_len(line) <= width:
            lines.append(line)
        else:
            lines += [f"{_GAP}{title}", *_wrapped(text, width)] if title else _wrapped(text, width)
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    indent = 2 * _GAP
    return [indent + line for line in wrap(text, width - len(indent))]


def _padded(text: str, size: int, *, right: bool = False) -> str:
    space = " " * (size - cell_len(text))
    return f"{space}{text}" if right else f"{text}{space}"
