"""`facebench validate`: hold every metric to the claims of its card, and show the response curves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from facebench.cli.progress import Stages
from facebench.cli.show import print_table
from facebench.studies.validation import validate
from facebench.studies.validation.report import claims_table, draw, summary


def validate_command(out: Path, **options: Any) -> None:
    """Validate, print every claim, write record and figure; exit code 1 when a claim is broken."""
    messages = Console(stderr=True)
    with Stages(messages) as stages:
        found = validate(progress=stages.update, **options)
    out.mkdir(parents=True, exist_ok=True)
    record, figure = out / "validation.json", out / "validation.svg"
    record.write_text(json.dumps(found.record(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    figure.write_text(draw(found), encoding="utf-8")
    console = Console()
    print_table(console, claims_table(found))
    for line in summary(found):
        console.print(Text(line))
    for path in (record, figure):
        console.print(f"wrote {path}", style="dim", markup=False, soft_wrap=True)
    if not found.passed:
        raise typer.Exit(1)
