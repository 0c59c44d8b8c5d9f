"""The `facebench` command: parse, call, print."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from facebench.cli import comparing, editing, measuring, rendering, training
from facebench.commands import store, weights
from facebench.core.errors import FacebenchError
from facebench.core.version import __version__

app = typer.Typer(
    help="Evaluate generated and edited faces: quality, identity and expression, with an interval on every number.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for group in (measuring, comparing, editing, training, rendering):
    app.add_typer(group.app)
app.add_typer(weights.app, name="weights", rich_help_panel="Keep")
app.add_typer(store.app, name="store", rich_help_panel="Keep")


INTERRUPTED = 130


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 a rule failed, 2 usage or input error, 130 interrupted."""
    try:
        app()
    except FacebenchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        _say_interrupted()
        sys.exit(INTERRUPTED)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # typer has caught the interrupt and said nothing
            _say_interrupted()
        raise


def _say_interrupted() -> None:
    print("interrupted: what was computed is kept, the same command continues from there", file=sys.stderr)


def _version(value: bool) -> None:
    if value:
        print(f"facebench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...
