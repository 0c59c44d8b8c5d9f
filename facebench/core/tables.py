"""Tables of results that are written as CSV, Markdown, HTML and LaTeX."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from facebench.core.escape import escape_csv, escape_html, escape_latex, escape_markdown, latex_comment
from facebench.core.language import translate

Mark = Literal["best", "second", ""]
Tone = Literal["good", "warning", "bad", ""]
EMPTY = ("", "–")
"""Texts of a cell without a value."""


@dataclass(frozen=True)
class Cell:
    """Text of a table cell, and the number behind it.

    Attributes:
        text: the value as text.
        number: the exact value; None when the cell has no number.
        small: text in smaller type after the value, such as the interval.
        mark: whether the value is the best or the second best of its column.
        title: explanation of a dagger or of an empty cell; a tooltip in HTML.
        second: second number in the text, such as the standard deviation in "mean ± std".
        link: target of a link; only in HTML.
        history: earlier values with their dates, oldest first; a sparkline in HTML.
        tone: colour of a state; only on the terminal.
        key: the text in CSV and JSON, such as the id of a metric without its arrow; `text` if empty.
    """

    text: str
    number: float | None = None
    small: str = ""
    mark: Mark = ""
    title: str = ""
    second: float | None = None
    link: str = ""
    history: tuple[tuple[str, float], ...] = ()
    tone: Tone = ""
    key: str = ""


@dataclass(frozen=True)
class Column:
    """Heading of a column.

    Attributes:
        key: name of the column in CSV.
        title: heading in the other formats.
        numeric: whether the cells are numbers; they are aligned to the right.
        about: explanation of the column; a tooltip in HTML.
        second: name of the second numbers of the cells in CSV; empty when the cells have none.
        words: whether single words in the cells are translated, as they are not names.
        is_name: whether the heading is a name of the user, such as a tag; names are not translated.
    """

    key: str
    title: str
    numeric: bool = True
    about: str = ""
    second: str = ""
    words: bool = False
    is_name: bool = False


@dataclass
class Table:
    """Rows of cells under columns.

    Attributes:
        columns: the headings.
        rows: one cell for each column.
        caption: title of the table.
        notes: lines below the table that explain marks and daggers.
        breaks: indices of the rows that start a new block.
    """

    columns: Sequence[Column]
    rows: list[list[Cell]] = field(default_factory=list)
    caption: str = ""
    notes: list[str] = field(default_factory=list)
    breaks: Sequence[int] = ()

    def transposed(self) -> Table:
        """Swap rows and columns, for narrow outputs such as a terminal.

        The column "model", or the first column, becomes the heading.
        """
        names = next((index for index, column in enumerate(self.columns) if column.key == "model"), 0)
        headings = [Column(f"row{index}", row[names].text) for index, row in enumerate(self.rows)]
        rows = [
            [Cell(column.title, title=column.about), *(row[index] for row in self.rows)]
            for index, column in enumerate(self.columns)
            if index != names
        ]
        return Table([Column("metric", "", numeric=False), *headings], rows, self.caption, self.notes)

    def without_empty_columns(self) -> Table:
        """Leave out the columns in which no row has a value."""
        kept = [
            index
            for index in range(len(self.columns))
            if not self.rows or any(row[index].text not in EMPTY for row in self.rows)
        ]
        rows = [[row[index] for index in kept] for row in self.rows]
        return Table([self.columns[index] for index in kept], rows, self.caption, self.notes, self.breaks)

    def translated(self) -> Table:
        """Translate headings, texts and notes to the language of the user; most single words in cells are names."""
        columns = [
            replace(
                column,
                title=column.title if column.is_name else translate(column.title),
                about=translate(column.about),
            )
            for column in self.columns
        ]
        rows = [
            [
                replace(cell, text=_translated(cell.text, column.words), title=translate(cell.title))
                for cell, column in zip(row, self.columns, strict=True)
            ]
            for row in self.rows
        ]
        notes = [translate(note) for note in self.notes]
        return Table(columns, rows, translate(self.caption), notes, self.breaks)

    def markdown(self) -> str:
        """Format as GitHub-flavoured Markdown: best in bold, second in italics."""
        table = self.translated()
        wrap = {"best": ("**", "**"), "second": ("_", "_"), "": ("", "")}
        heading = [escape_markdown(column.title) for column in table.columns]
        rule = ["---:" if column.numeric else "---" for column in table.columns]
        body = [[_wrapped(cell, *wrap[cell.mark], escape_markdown) for cell in row] for row in table.rows]
        lines = ["| " + " | ".join(row) + " |" for row in [heading, rule, *body]]
        caption = [f"**{escape_markdown(table.caption)}**", ""] if table.caption else []
        notes = [f"{escape_markdown(note, block=True)}  " for note in table.notes]
        return "\n".join([*caption, *lines, *([""] if notes else []), *notes]) + "\n"

    def html(self) -> str:
        """Format as an HTML `<table>`: best in bold, second underlined."""
        table = self.translated()
        parts = ['<table class="facebench">']
        if table.caption:
            parts.append(f"<caption>{escape_html(table.caption)}</caption>")
        parts.append("<thead><tr>")
        parts += [_html_heading(column) for column in table.columns]
        parts.append("</tr></thead><tbody>")
        for index, row in enumerate(table.rows):
            parts.append('<tr class="block">' if index in table.breaks else "<tr>")
            parts += [_html_cell(cell, column) for cell, column in zip(row, table.columns, strict=True)]
            parts.append("</tr>")
        parts.append("</tbody></table>")
        parts += [f'<p class="note">{escape_html(note)}</p>' for note in table.notes]
        return "\n".join(parts) + "\n"

    def _repr_html_(self) -> str:
        """Format for a notebook: the table scrolls inside its cell."""
        return f'<div style="overflow-x: auto">\n{self.html()}</div>\n'

    def latex(self) -> str:
        """Format as a booktabs `tabular`: best in bold, second underlined; notes as comments."""
        wrap = {"best": (r"\textbf{", "}"), "second": (r"\underline{", "}"), "": ("", "")}
        layout = "".join("r" if column.numeric else "l" for column in self.columns)
        lines = [r"% needs \usepackage{booktabs}", rf"\begin{{tabular}}{{{layout}}}", r"\toprule"]
        lines.append(_latex_row([escape_latex(column.title) for column in self.columns]))
        lines.append(r"\midrule")
        for index, row in enumerate(self.rows):
            if index in self.breaks:
                lines.append(r"\midrule")
            cells = [_wrapped(cell, *wrap[cell.mark], escape_latex, r"{\scriptsize ", "}") for cell in row]
            lines.append(_latex_row(cells))
        lines += [r"\bottomrule", r"\end{tabular}"]
        lines += [latex_comment(note) for note in self.notes]
        return "\n".join(lines) + "\n"

    def json(self) -> str:
        """Format as JSON: a list of objects, one per row; numeric columns hold numbers or null."""
        rows = [
            {
                column.key: cell.number if column.numeric else cell.key or cell.text
                for cell, column in zip(row, self.columns, strict=True)
            }
            for row in self.rows
        ]
        return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"

    def csv(self) -> str:
        """Format as CSV: one header line, numbers with six significant digits, line feeds as line ends."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        keys = [key for column in self.columns for key in (column.key, column.second) if key]
        writer.writerow(escape_csv(key) for key in keys)
        for row in self.rows:
            pairs = zip(row, self.columns, strict=True)
            writer.writerow(field for cell, column in pairs for field in _csv_fields(cell, column))
        return out.getvalue()


def encode_csv(text: str) -> bytes:
    r"""Encode CSV text as UTF-8, with a byte order mark when it is not ASCII.

    Excel reads UTF-8 only after a byte order mark.

    Example:
        >>> encode_csv("a"), encode_csv("顔")[:3]
        (b'a', b'\xef\xbb\xbf')
    """
    return text.encode("utf-8" if text.isascii() else "utf-8-sig")


def sparkline(history: Sequence[tuple[str, float]]) -> str:
    """Draw a number over time as a small inline SVG, newest at the right.

    Args:
        history: dates and values, oldest first.

    Returns:
        The SVG; empty for fewer than two values.

    Example:
        >>> sparkline([("2026-01-01", 1.0)])
        ''
        >>> sparkline([("2026-01-01", 1.0), ("2026-01-02", 3.0)]).count("<polyline")
        1
    """
    if len(history) < 2:
        return ""
    values = [value for _, value in history]
    low, span = min(values), (max(values) - min(values)) or 1.0
    step = 60 / (len(values) - 1)
    points = [(2 + step * index, 14 - 12 * (value - low) / span) for index, value in enumerate(values)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    label = escape_html(", ".join(f"{date}: {value:.4g}" for date, value in history))
    return (
        f'<svg class="spark" viewBox="0 0 64 16" role="img" aria-label="{label}"><title>{label}</title>'
        f'<polyline points="{path}"/><circle cx="{points[-1][0]:.1f}" cy="{points[-1][1]:.1f}" r="1.8"/></svg>'
    )


def _translated(text: str, words: bool) -> str:
    return translate(text) if words or " " in text.strip() else text


def _csv_fields(cell: Cell, column: Column) -> list[str]:
    """The fields of a cell: its text, or its one or two numbers."""
    if not column.numeric:
        return [escape_csv(cell.key or cell.text)]
    numbers = [cell.number, cell.second] if column.second else [cell.number]
    return ["" if number is None else f"{number:.6g}" for number in numbers]


def _html_heading(column: Column) -> str:
    about, title = escape_html(column.about), escape_html(column.title)
    key = escape_html(column.key)
    kept = ' translate="no"' if column.is_name else ""
    return f'<th scope="col"{_html_class(column)} data-key="{key}" title="{about}"{kept}>{title}</th>'


def _html_cell(cell: Cell, column: Column) -> str:
    before, after = {
        "best": ("<strong>", "</strong>"),
        "second": ("<u>", "</u>"),
        "": ("", ""),
    }[cell.mark]
    sort = f' data-sort="{cell.number!r}"' if cell.number is not None else ""
    tooltip = f' title="{escape_html(cell.title)}"' if cell.title else ""
    text = escape_html(cell.text)
    if cell.link:
        text = f'<a href="{escape_html(cell.link)}">{text}</a>'
    small = f"<small>{escape_html(cell.small)}</small>" if cell.small else ""
    content = f"{before}{text}{after}{small}{sparkline(cell.history)}"
    return f"<td{_html_class(column)}{sort}{tooltip}>{content}</td>"


def _html_class(column: Column) -> str:
    return ' class="number"' if column.numeric else ""


def _latex_row(cells: Sequence[str]) -> str:
    line = " & ".join(cells)
    # After \\ and \midrule a bracket or a star would be read as their argument.
    return ("{}" if line.startswith(("[", "*")) else "") + line + r" \\"


def _wrapped(
    cell: Cell, before: str, after: str, escape: Callable[[str], str], small: str = "", end: str = ""
) -> str:
    """Text of a cell between the markup of its mark, with its small text behind it."""
    text = f"{before}{escape(cell.text)}{after}"
    return f"{text} {small}{escape(cell.small)}{end}" if cell.small else text
