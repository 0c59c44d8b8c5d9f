"""Numbers in README and docs that commands write: `python -m tools.docs_numbers FOLDER`, after the demo in FOLDER.

Marks in Markdown name where a number comes from; they are comments, so a page does not show them:

- `<!-- record: runs/good-quality -->` before a fenced block: the block is the table that `facebench evaluate` printed
  for this record, cut to the metrics that it lists.
- `<!-- value: runs/good-quality fd_lite0 -->13.87<!-- /value -->`: a value of a record.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from facebench.cli.choices import TableFormat
from facebench.cli.terminal_runs import print_run
from facebench.core.language import use_language
from facebench.evaluation.record import Run
from facebench.evaluation.record_reading import load_run

ROOT = Path(__file__).parents[1]
WIDTH = 88
_BLOCK = re.compile(
    r"(<!-- record: (\S+) metrics: ([^>]*?) -->\n```\n(?:\$ [^\n]*\n)?)(.*?)(\n```)", re.DOTALL
)
_VALUE = re.compile(r"(<!-- value: (\S+) (\S+) -->)(.*?)(<!-- /value -->)")


def pages(root: Path = ROOT) -> Iterator[Path]:
    """Return the Markdown pages that hold marks."""
    for page in [*root.glob("*.md"), *sorted((root / "docs").rglob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        if _BLOCK.search(text) or _VALUE.search(text):
            yield page


def written(text: str, folder: Path, lang: str = "en") -> str:
    """Return a page with the numbers of the records in a folder.

    Args:
        text: the page.
        folder: folder of the demo; the marks name records below it.
        lang: language of the page.

    Raises:
        InputError: a record is missing, or lacks a metric.
    """

    def block(match: re.Match[str]) -> str:
        run = load_run(folder / match[2])
        return match[1] + table(run, match[3].split(), lang) + match[5]

    def value(match: re.Match[str]) -> str:
        result = load_run(folder / match[2]).metrics[match[3]]
        return f"{match[1]}{result.value:.{result.decimals}f}{match[5]}"

    return _VALUE.sub(value, _BLOCK.sub(block, text))


def table(run: Run, metrics: list[str], lang: str) -> str:
    """Return the table on the terminal, with the rows of some metrics, and the notes about intervals and daggers."""
    console = Console(width=WIDTH, file=io.StringIO(), color_system=None)
    with use_language(lang):
        print_run(console, run, show_all=False, style=TableFormat.table)
    lines = [line.rstrip() for line in console.file.getvalue().rstrip().splitlines()]
    edges = [index for index, line in enumerate(lines) if line.startswith(("┏", "┡", "└"))]
    rows = [
        line for line in lines[edges[1] + 1 : edges[2]] if any(f" {metric} " in line for metric in metrics)
    ]
    notes = [line for line in lines[edges[2] + 1 :] if line.startswith(("95 %", "†"))]
    return "\n".join([*lines[: edges[1] + 1], *rows, "...", *notes[:3]])


def main() -> int:
    """Write all pages; print those that changed."""
    folder = Path(sys.argv[1])
    for page in pages():
        old = page.read_text(encoding="utf-8")
        new = written(old, folder, "ja" if page.name.endswith(".ja.md") or page.parent.name == "ja" else "en")
        if new != old:
            page.write_text(new, encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
