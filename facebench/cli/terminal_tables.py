"""Tables on the terminal, in the format that the user chose."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from rich.cells import cell_len
from rich.table import Table as RichTable
from rich.text import Text

from facebench.cli.choices import TableFormat
from facebench.cli.messages import Console, print_line
from facebench.cli.plain_tables import plain_lines
from facebench.cli.wrapping import units, wrap
from facebench.core.escape import escape_terminal
from facebench.core.tables import Cell, Table

_SENTENCE = 24
"""Width to which a column of sentences may be narrowed."""
_STYLES = {"best": "bold", "second": "underline", "": ""}
_COLOURS = {"good": "green", "warning": "yellow", "bad": "red", "": ""}


def show_tables(
    tables: Table | Sequence[Table],
    style: TableFormat,
    *,
    data: Table | None = None,
    before: Sequence[str] = (),
    sentences: Sequence[str] = (),
    after: Sequence[str] = (),
) -> None:
    """Print the tables of a command for a person, or write one of them for a program.

    Args:
        tables: the tables.
        style: format; `csv` and `json` are for programs.
        data: the table for programs; the first table by default.
        before: lines above the tables, in bold; only for a person.
        sentences: sentences below the tables; only for a person.
        after: paths and hints below the sentences; only for a person.
    """
    tables = [tables] if isinstance(tables, Table) else tables
    if style.is_data:
        data = tables[0] if data is None else data
        sys.stdout.write(data.csv() if style == TableFormat.csv else data.json())
        return
    for line in before:
        print_line(line, style="bold")
    console = Console()
    print_tables(console, tables, style)
    for sentence in sentences:
        console.print(_text(sentence))
    for line in after:
        print_line(line, style="dim")


def print_written(paths: Iterable[object], style: TableFormat) -> None:
    """Name the written files; on stderr where a program reads stdout."""
    for path in paths:
        print_line(f"wrote {path}", style="dim", stderr=style.is_data)


def print_table(console: Console, table: Table, style: TableFormat = TableFormat.auto) -> None:
    """Print a table: best value bold, second best underlined, notes below.

    Args:
        console: the terminal.
        table: the table.
        style: `table`, `plain` (lines without borders), or `auto`: a table where it fits, else with rows and columns
            swapped where that fits, lines otherwise.
    """
    table = table.translated()
    widths = _widths(table, console.width)
    drawn = table
    if style == TableFormat.auto and not widths and len(table.rows) > 1:
        drawn = table.transposed()
        widths = _widths(drawn, console.width)
    if style == TableFormat.table or (style == TableFormat.auto and widths):
        console.print(_rich_table(drawn, widths))
    else:
        if table.caption:
            console.print(_text(table.caption))
        for line in plain_lines(table, console.width):
            console.print(Text(line), soft_wrap=True)
    for note in table.notes:
        console.print(_text(note, style="dim"))


def print_tables(console: Console, tables: Sequence[Table], style: TableFormat = TableFormat.auto) -> None:
    """Print tables; notes that several of them have are printed once, below the last table.

    Args:
        console: the terminal.
        tables: the tables.
        style: format, as for `print_table`.
    """
    counts = Counter(note for table in tables for note in dict.fromkeys(table.notes))
    for table in tables:
        print_table(console, replace(table, notes=[note for note in table.notes if counts[note] == 1]), style)
    for note, count in counts.items():
        if count > 1:
            console.print(_text(note, style="dim"))


def _rich_table(table: Table, widths: Sequence[int] | None) -> RichTable:
    """Draw a table with columns of some widths; None lets rich choose them, and cut words."""
    shown = RichTable(
        title=_text(table.caption) if table.caption else None,
        title_justify="left",
        header_style="bold",
        show_lines=False,
    )
    sizes: Sequence[int | None] = widths or [None] * len(table.columns)
    for column, size in zip(table.columns, sizes, strict=True):
        shown.add_column(
            _text(column.title, width=size),
            justify="right" if column.numeric else "left",
            overflow="fold",
            width=size,
        )
    for index, row in enumerate(table.rows):
        cells = [_cell(cell, size) for cell, size in zip(row, sizes, strict=True)]
        shown.add_row(*cells, end_section=index + 1 in table.breaks)
    return shown


def _widths(table: Table, width: int) -> list[int] | None:
    """Return the widths of the columns if the table fits when only its columns of sentences are wrapped."""
    widest, narrowest = [], []
    for index, column in enumerate(table.columns):
        texts = [column.title, *(part for row in table.rows for part in (row[index].text, row[index].small))]
        lines = [escape_terminal(text) for text in texts]
        most = max(map(cell_len, lines), default=0)
        longest = max((cell_len(word) for line in lines for word in units(line)), default=0)
        widest.append(most)
        narrowest.append(most if column.numeric else min(most, max(_SENTENCE, longest)))
    spare = width - 1 - sum(3 + size for size in narrowest)
    if spare < 0:
        return None
    wanted = [high - low for high, low in zip(widest, narrowest, strict=True)]
    share = min(1.0, spare / max(sum(wanted), 1))
    return [low + int(share * more) for low, more in zip(narrowest, wanted, strict=True)]


def _text(text: str, style: str = "", width: int | None = None) -> Text:
    return Text(_broken(escape_terminal(text), width), style=style)


def _cell(cell: Cell, width: int | None) -> Text:
    text = _text(cell.text, _STYLES[cell.mark] or _COLOURS[cell.tone], width)
    small = f"\n{_broken(escape_terminal(cell.small), width)}"
    return text.append(small, style="dim not bold not underline") if cell.small else text


def _broken(text: str, width: int | None) -> str:
    """Break a text into the lines of a column."""
    return text if width is None or cell_len(text) <= width else "\n".join(wrap(text, width))
