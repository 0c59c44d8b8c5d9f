"""A group of commands that imports the file of a command when the command is invoked."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, MutableMapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from facebench.cli.command_table import COMMANDS


class LazyGroup(TyperGroup):
    """The commands of the command table; its help page imports none of them."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = LazyCommands()

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the command table."""
        return list(COMMANDS)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help page from the command table."""
        page = TyperGroup(name=self.name, help=self.help, params=self.params, commands=_stubs())
        page.format_help(ctx, formatter)


class LazyCommands(MutableMapping[str, Any]):
    """Commands by name, imported on first access."""

    def __init__(self) -> None:
        self._imported: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._imported:
            self._imported[name] = import_command(name)
        return self._imported[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._imported[name] = command

    def __delitem__(self, name: str) -> None:
        del self._imported[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)

    def __contains__(self, name: object) -> bool:
        return name in COMMANDS


def import_command(name: str) -> Any:
    """Import the file of a command and return its click command.

    The file declares either a function named like the file, or a group of commands named `app`.

    Raises:
        KeyError: the command table has no such command.
    """
    entry = COMMANDS[name]
    module = importlib.import_module(f"facebench.cli.{entry.module}")
    app: typer.Typer | None = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(add_completion=False)
        app.command(name)(getattr(module, entry.module))
    return get_command(app)


def _stubs() -> dict[str, Any]:
    """Return commands that have names, help and panels, and do nothing."""
    return {
        entry.name: TyperCommand(entry.name, help=entry.help, rich_help_panel=entry.panel)
        for entry in COMMANDS.values()
    }
