"""`facebench init`: look at a folder and print the commands that fit it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facebench.cli.messages import print_line


def init(
    folder: Annotated[
        Path, typer.Argument(help="Folder of images or of runs, manifest, or archive.")
    ] = Path(),
) -> None:
    """Look at a folder of images and print the commands that fit it."""
    from facebench.evaluation.fitting_commands import fitting_commands

    fitting = fitting_commands(folder)
    for line in fitting.lines:
        print_line(line)
    for command in fitting.commands:
        print_line(f"\n# {command.about}", style="dim")
        print_line(command.words)
    for position, remark in enumerate(fitting.remarks):
        print_line(f"{'' if position else chr(10)}{remark}", style="dim", stderr=True)
