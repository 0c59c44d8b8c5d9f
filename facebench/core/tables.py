"""One table, four formats: CSV, Markdown, HTML and LaTeX come from the same object."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Mark = Literal["best", "second", ""]

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "†": r"$^\dagger$",
        "±": r"$\pm$",
        "–": "--",
    }
)


@dataclass(frozen=True)
class Cell:
    """A value as text, the exact number behind it, and whether it is the best of its column."""

    text: str
    number: float | None = None
    small: str = ""
    """Printed smaller after the value: the interval."""
    mark: Mark = ""
    title: str = ""
    """The reason behind a dagger or an empty cell; a tooltip in HTML."""
    second: float | None = None
    """A second number that the text shows, such as the spread of a mean ± std."""
    link: str = ""
    """Where a click leads; in HTML only."""
    history: tuple[tuple[str, float], ...] = ()
    """The same number at several times, oldest first; a sparkline in HTML."""


@dataclass(frozen=True)
class Column:
    """Heading of a column; `key` names it in CSV."""

    key: str
    title: str
    numeric: bool = True
    about: str = ""
    second: str = ""
    """Names the cells' second numbers in CSV."""


@dataclass
class Table:
    """Rows of cells under columns, with a caption and notes that explain marks and daggers."""

    columns: Sequence[Column]
    rows: list[list[Cell]] = field(default_factory=list)
    caption: str = ""
    notes: list[str] = field(default_factory=list)
    breaks: Sequence[int] = ()
    """Rows before which a new block begins."""

    def transposed(self) -> Table:
        """One row per column and one column per row: for narrow places such as a terminal."""
        named = next((place for place, column in enumerate(self.columns) if column.key == "model"), 0)
        heads = [Column(f"row{place}", row[named].text) for place, row in enumerate(self.rows)]
        rows = [
            [Cell(column.title, title=column.about), *(row[place] for row in self.rows)]
            for place, column in enumerate(self.columns)
            if place != named
        ]
        return Table([Column("metric", "", numeric=False), *heads], rows, self.caption, self.notes)

    def markdown(self) -> str:
        """GitHub-flavoured Markdown; best in bold, second in italics (Markdown has no underline)."""
        wrap = {"best": ("**", "**"), "second": ("_", "_"), "": ("", "")}
        heading = [_markdown(column.title) for column in self.columns]
        rule = ["---:" if column.numeric else "---" for column in self.columns]
        body = [[_join(cell, *wrap[cell.mark], _markdown) for cell in row] for row in self.rows]
        lines = ["| " + " | ".join(row) + " |" for row in [heading, rule, *body]]
        caption = [f"**{_markdown(self.caption)}**", ""] if self.caption else []
        notes = ["", *(f"{_markdown(note)}  " for note in self.notes)] if self.notes else []
        return "\n".join([*caption, *lines, *notes]) + "\n"

    def html(self) -> str:
        """A `<table>` with every text escaped."""
        tag = {"best": ("<strong>", "</strong>"), "second": ("<u>", "</u>"), "": ("", "")}
        parts = ['<table class="facebench">']
        if self.caption:
            parts.append(f"<caption>{html.escape(self.caption)}</caption>")
        parts.append("<thead><tr>")
        parts += [
            f'<th scope="col"{_class(column.numeric)} title="{html.escape(column.about)}">'
            f"{html.escape(column.title)}</th>"
            for column in self.columns
        ]
        parts.append("</tr></thead><tbody>")
        for place, row in enumerate(self.rows):
            parts.append('<tr class="block">' if place in self.breaks else "<tr>")
            for column, cell in zip(self.columns, row, strict=True):
                before, after = tag[cell.mark]
                small = f"<small>{html.escape(cell.small)}</small>" if cell.small else ""
                sort = f' data-sort="{cell.number!r}"' if cell.number is not None else ""
                tip = f' title="{html.escape(cell.title)}"' if cell.title else ""
                shown = html.escape(cell.text)
                if cell.link:
                    shown = f'<a href="{html.escape(cell.link)}">{shown}</a>'
                line = sparkline(cell.history)
                parts.append(
                    f"<td{_class(column.numeric)}{sort}{tip}>{before}{shown}{after}{small}{line}</td>"
                )
            parts.append("</tr>")
        parts.append("</tbody></table>")
        parts += [f'<p class="note">{html.escape(note)}</p>' for note in self.notes]
        return "\n".join(parts) + "\n"

    def latex(self) -> str:
        """A booktabs `tabular`; best in bold, second underlined."""
        wrap = {"best": (r"\textbf{", "}"), "second": (r"\underline{", "}"), "": ("", "")}
        layout = "".join("r" if column.numeric else "l" for column in self.columns)
        lines = [r"% needs \usepackage{booktabs}", rf"\begin{{tabular}}{{{layout}}}", r"\toprule"]
        lines.append(" & ".join(_latex(column.title) for column in self.columns) + r" \\")
        lines.append(r"\midrule")
        for place, row in enumerate(self.rows):
            if place in self.breaks:
                lines.append(r"\midrule")
            cells = [_join(cell, *wrap[cell.mark], _latex, r"{\scriptsize ", "}") for cell in row]
            lines.append(" & ".join(cells) + r" \\")
        lines += [r"\bottomrule", r"\end{tabular}"]
        lines += [f"% {note}" for note in self.notes]
        return "\n".join(lines) + "\n"

    def csv(self) -> str:
        """Numbers with six significant digits, so that the file diffs well; one header line, Unix line ends."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(key for column in self.columns for key in (column.key, column.second) if key)
        for row in self.rows:
            pairs = zip(row, self.columns, strict=True)
            writer.writerow(text for cell, column in pairs for text in _csv(cell, column))
        return out.getvalue()


def sparkline(history: Sequence[tuple[str, float]]) -> str:
    """A number over time as a small inline SVG, newest at the right; "" for fewer than two values.

    Example:
        >>> sparkline([("2026-01-01", 1.0)])
        ''
        >>> sparkline([("2026-01-01", 1.0), ("2026-01-02", 3.0)]).count("<polyline")
        1
    """
    if len(history) < 2:
        return ""
    values = [value for _, value in history]
    low, reach = min(values), (max(values) - min(values)) or 1.0
    step = 60 / (len(values) - 1)
    points = [(2 + step * place, 14 - 12 * (value - low) / reach) for place, value in enumerate(values)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    said = html.escape(", ".join(f"{when}: {value:.4g}" for when, value in history))
    return (
        f'<svg class="spark" viewBox="0 0 64 16" role="img" aria-label="{said}"><title>{said}</title>'
        f'<polyline points="{path}"/><circle cx="{points[-1][0]:.1f}" cy="{points[-1][1]:.1f}" r="1.8"/></svg>'
    )


def _csv(cell: Cell, column: Column) -> list[str]:
    """The fields of a cell: its text, or its one or two numbers."""
    if not column.numeric:
        # A leading = + - or @ would run as a formula in a spreadsheet.
        return [f"'{cell.text}" if cell.text[:1] in "=+-@\t\r" and cell.text else cell.text]
    numbers = [cell.number, cell.second] if column.second else [cell.number]
    return ["" if number is None else f"{number:.6g}" for number in numbers]


def _markdown(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").replace("`", "\\`")
    escaped = escaped.replace("](", "]\\(")  # a link; brackets of intervals stay readable in the text
    return html.escape(escaped, quote=False).replace("\n", " ").replace("_", "\\_")


def _latex(text: str) -> str:
    return text.replace("\n", " ").translate(_LATEX)


def _class(numeric: bool) -> str:
    return ' class="number"' if numeric else ""


def _join(
    cell: Cell, before: str, after: str, escape: Callable[[str], str], small: str = "", end: str = ""
) -> str:
    text = f"{before}{escape(cell.text)}{after}"
    return f"{text} {small}{escape(cell.small)}{end}" if cell.small else text
