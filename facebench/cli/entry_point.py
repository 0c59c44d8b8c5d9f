"""The `facebench` program: global options, exit codes and error messages."""

from __future__ import annotations

import errno
import io
import itertools
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.main import get_command

from facebench.cli.lazy_group import LazyGroup
from facebench.core.errors import FacebenchError
from facebench.core.escape import escape_terminal
from facebench.core.language import bind_gettext, check_language, language, translate, use_language
from facebench.core.version import __version__

INPUT_ERROR = 2
INTERNAL_ERROR = 70
INTERRUPTED = 130
BROKEN_PIPE = 141
"""Exit code of a program that SIGPIPE ends."""
_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})
_PATH_ERRORS = frozenset(
    {errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR}
)
"""Errors of paths that a user gave and that no reader reported with more detail."""

app = typer.Typer(
    cls=LazyGroup,
    help="Evaluate generated and edited faces: quality, identity and expression, with an interval on every number.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(requested: bool) -> None:
    if requested:
        print(f"facebench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None: ...


def main() -> None:
    """Run the command line of this process.

    Exit codes: 0 success, 1 a rule failed, 2 usage or input error, 70 internal error, 130 interrupted,
    141 the reader of the output ended.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    # Damaged images are rejected with a reason; warnings of the decoder repeat it without the name of the file.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    sys.exit(_run(None))


def run_command(words: Sequence[str]) -> int:
    """Run one command in this process and return its exit code.

    Args:
        words: the command and its options, without `facebench`.

    Example:
        >>> run_command(["--version"])
        facebench 0.2.0.dev0
        0
    """
    return _run(list(words))


def _run(words: list[str] | None) -> int:
    """Run a command in the language of the user; None means the arguments of this process."""
    try:
        chosen = _requested_language(sys.argv[1:] if words is None else words) or language()
        check_language(chosen)
    except FacebenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return INPUT_ERROR
    with use_language(chosen):
        bind_gettext()
        return _run_command(words)


def _requested_language(words: Sequence[str]) -> str | None:
    """Return the value of `--lang`: it holds for everything that is printed, help included."""
    for word, following in itertools.zip_longest(words, words[1:]):
        if word == "--":
            break
        if word == "--lang":
            return following
        if word.startswith("--lang="):
            return word.partition("=")[2]
    return None


def _run_command(words: list[str] | None) -> int:
    try:
        get_command(app)(args=words, prog_name="facebench")
    except FacebenchError as error:
        _print_error(f"error: {error}")
        return INPUT_ERROR
    except KeyboardInterrupt:
        return _report_interrupt()
    except SystemExit as ended:
        if _is_broken_pipe(ended.__context__):
            return BROKEN_PIPE
        # Typer turns a KeyboardInterrupt into this exit code and prints nothing.
        return _report_interrupt() if ended.code == INTERRUPTED else int(ended.code or 0)
    except OSError as error:
        if _is_broken_pipe(error):
            return BROKEN_PIPE
        if error.errno in _PATH_ERRORS and error.filename is not None:
            _print_error(f"error: {_shortened(str(error.filename))}: {error.strerror}. Check the path.")
            return INPUT_ERROR
        if error.errno not in _DISK_ERRORS:
            return _report_internal_error(error)
        _print_error(f"error: the output cannot be written: {error}. Free some space, or write elsewhere.")
        return INPUT_ERROR
    except Exception as error:
        return _report_internal_error(error)
    return 0


def _shortened(path: str) -> str:
    return path if len(path) <= 200 else f"{path[:100]}…{path[-50:]}"


def _is_broken_pipe(error: BaseException | None) -> bool:
    """Whether the reader of the output has ended, as `| head` does; click and rich turn this into exit code 1."""
    return isinstance(error, OSError) and error.errno == errno.EPIPE


def _report_interrupt() -> int:
    _print_error("interrupted: computed results are kept; run the same command again to continue")
    return INTERRUPTED


def _report_internal_error(error: Exception) -> int:
    if os.environ.get("FACEBENCH_DEBUG") == "1":
        traceback.print_exception(error)
    description = " ".join(f"{type(error).__name__}: {error}".split())
    _print_error(
        f"internal error: {description} (please report it with the traceback that FACEBENCH_DEBUG=1 prints)"
    )
    return INTERNAL_ERROR


def _print_error(message: str) -> None:
    print(escape_terminal(translate(message), multiline=True), file=sys.stderr)
