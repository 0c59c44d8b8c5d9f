"""The command table lists every command as the command describes itself."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer.main

from facebench.cli import app
from facebench.cli.command_table import COMMANDS
from facebench.cli.lazy_group import import_command
from tests.helpers.paths import REPOSITORY

SHARED = {
    "__init__", "autoencoder_options", "choices", "command_table", "entry_point", "lazy_group", "messages",
    "machine_options", "named_values", "options_from_model", "plain_tables", "progress",
    "run_output", "terminal_runs", "terminal_tables", "wrapping",
}  # fmt: skip
"""Files that declare no command."""
HEAVY = ("torch", "numpy", "scipy", "pandas", "cv2", "matplotlib", "onnxruntime")
"""Packages that take long to import; the help of a command needs none of them."""
EXTRAS = ("accelerate", "tensorboard", "lmdb", "sklearn", "peft", "diffusers", "transformers", "ray")
"""Packages that only the optional dependencies install."""


def test_every_file_is_a_command_or_shared() -> None:
    files = {file.stem for file in (REPOSITORY / "facebench" / "cli").glob("*.py")}
    assert files == SHARED | {entry.module for entry in COMMANDS.values()}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_repeats_the_first_line_of_the_docstring(name: str) -> None:
    command = import_command(name)
    assert command.help.strip().splitlines()[0] == COMMANDS[name].help


def test_the_group_gives_every_command_with_its_options() -> None:
    group = typer.main.get_command(app)
    assert list(group.commands) == list(COMMANDS)  # type: ignore[attr-defined]
    options = {option for each in group.commands["check"].params for option in each.opts}  # type: ignore[attr-defined]
    assert {"--baseline", "--junit"} <= options


def test_the_help_of_a_command_imports_no_heavy_package() -> None:
    program = f"""
import sys
from facebench.cli import run_command
from facebench.cli.command_table import COMMANDS
for name in COMMANDS:
    assert run_command([name, "--help"]) == 0
    imported = sorted(set(sys.modules) & set({HEAVY}))
    assert not imported, (name, imported)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage: facebench") == len(COMMANDS)


def test_every_command_has_help_without_optional_packages() -> None:
    program = f"""
import sys
sys.modules.update(dict.fromkeys({EXTRAS}))
from facebench.cli.command_table import COMMANDS
from facebench.cli.lazy_group import import_command
for name in COMMANDS:
    import_command(name)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
