"""The `facebench` command line: one file for each command, listed in `command_table`."""

from __future__ import annotations

from facebench.cli.entry_point import INTERRUPTED, app, main, run_command

__all__ = ["INTERRUPTED", "app", "main", "run_command"]
