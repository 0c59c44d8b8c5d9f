"""A group of commands that imports the file of a command when the command is invoked."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from facebench.cli.command_table import COMMANDS
from facebench.core.language import translate


class LazyGroup(TyperGroup):
    """The commands of the command table; its help page imports none of them."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = LazyCommands()
        _localise(self)

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Read the arguments; usage errors are in the language of the user."""
        with _translated_usage_errors():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; usage errors are in the language of the user."""
        with _translated_usage_errors():
            return super().invoke(ctx)

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the command table."""
        return list(COMMANDS)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help page from the command table."""
        page = TyperGroup(name=self.name, help=self.help, params=self.params, commands=_stubs())
        page.format_help(ctx, formatter)


@contextmanager
def _translated_usage_errors() -> Iterator[None]:
    """Translate the text of a usage error that leaves the block; Typer and click build it in English."""
    try:
        yield
    except Exception as caught:  # Typer has a private copy of click, so its base class has no public name
        error: Any = caught
        if hasattr(error, "format_message"):
            text = error.format_message
            error.format_message = lambda: translate(text())
        raise


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
    command = get_command(app)
    _localise(command)
    return command


def _localise(command: Any) -> None:
    """Add `--lang` to a command and the commands of its group, and translate their help."""
    if not any(option.name == "lang" for option in command.params):
        command.params.append(_language_option())
    make_option = command.get_help_option
    command.get_help_option = lambda context: _translated_option(make_option(context))
    command.help = translate(inspect.cleandoc(command.help or ""))
    for option in command.params:
        _translated_option(option)
        if option.param_type_name == "argument":
            _write_plainly(option)
    for each in (getattr(command, "commands", {}) if not isinstance(command, LazyGroup) else {}).values():
        _localise(each)


def _translated_option(option: Any) -> Any:
    if getattr(option, "help", None):
        option.help = translate(option.help)
    return option


def _write_plainly(argument: Any) -> None:
    """Write NAME for a required argument and [NAME] for an optional one in the usage line; Typer writes {name}."""
    name = (argument.metavar or argument.name).upper()
    usage = (name if argument.required else f"[{name}]") + ("..." if argument.nargs != 1 else "")
    argument.get_usage_pieces = lambda context: [usage]


def _language_option() -> Any:
    """Return the option `--lang`; the entry point reads its value."""
    app = typer.Typer(add_completion=False)
    app.command()(_declare_language)
    return next(option for option in get_command(app).params if option.name == "lang")


def _declare_language(
    lang: Annotated[
        str | None,
        typer.Option(
            metavar="en|ja",
            help="Language of all texts; by default FACEBENCH_LANG, then the locale.",
            expose_value=False,
        ),
    ] = None,
) -> None: ...


def _stubs() -> dict[str, Any]:
    """Return commands that have names, help and panels, and do nothing."""
    return {
        entry.name: TyperCommand(
            entry.name, help=translate(entry.help), rich_help_panel=translate(entry.panel)
        )
        for entry in COMMANDS.values()
    }
