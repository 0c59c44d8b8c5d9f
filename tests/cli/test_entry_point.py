"""The `facebench` program: help, version, exit codes and error messages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from facebench import __version__, cli
from facebench.cli.command_table import COMMANDS
from tests.cli.conftest import Command

HEAVY = {"torch", "numpy", "pandas", "cv2", "scipy", "matplotlib", "onnxruntime", "pydantic"}


def test_help_names_every_command_and_imports_none() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "facebench", "--help"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": "200"}
    )
    for entry in COMMANDS.values():
        assert entry.name in done.stdout
        assert entry.help in done.stdout
        assert entry.panel in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert imported.isdisjoint(HEAVY)
    assert imported.isdisjoint({f"facebench.cli.{entry.module}" for entry in COMMANDS.values()})


@pytest.mark.parametrize("words", [["--help"], ["-h"], []])
def test_help_lists_the_commands(facebench: Command, words: list[str]) -> None:
    assert "leaderboard" in facebench(*words).stdout


def test_version(facebench: Command) -> None:
    done = facebench("--version")
    assert done.returncode == 0
    assert done.stdout.strip() == f"facebench {__version__}"


@pytest.mark.parametrize("words", [["evalute"], ["--verion"], ["degrade", "faces", "out"]])
def test_a_usage_error_exits_with_2(facebench: Command, words: list[str]) -> None:
    done = facebench(*words)
    assert done.returncode == 2
    assert "Usage: facebench" in done.stderr


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("watch", "CHECKPOINTS"),
        ("metrics", "[TEXT]"),
        ("leaderboard", "RUNS..."),
        ("pick", "RUN OUT"),
        ("evaluate", "[GENERATED]"),
    ],
)
def test_the_usage_line_names_arguments_in_capitals(facebench: Command, command: str, arguments: str) -> None:
    assert f"Usage: facebench {command} [OPTIONS] {arguments} " in facebench(command, "--help").stdout


def test_an_unknown_command_gets_a_suggestion(facebench: Command) -> None:
    assert "Did you mean 'leaderboard'?" in facebench("leaderbord").stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "no/such/folder"], "no/such/folder"),
        (["evaluate", ".", "--protocol", "qualty"], "Did you mean quality"),
        (["evaluate", ".", "--metrics", "fid_klean"], "Did you mean fid_clean"),
        (["evaluate", "."], "No image in"),
        (["evaluate", ".", "--device", "tpu"], "tpu"),
        (["evaluate"], "--config"),
        (["leaderboard", "nothing"], "nothing"),
        (["metrics", "fd_litte"], "fd_lite0"),
        (["protocols", "qualty"], "quality"),
        (["synth", "."], "empty"),
        (["degrade", "nowhere", "out", "--kind", "blur"], "nowhere"),
    ],
)
def test_wrong_input_is_one_message_and_exits_with_2(
    facebench: Command, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "notes.txt").write_text("not an image")
    done = facebench(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def fail(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let `facebench degrade` raise an exception; its command line."""

    def degrade(*_: object) -> None:
        raise error

    monkeypatch.setattr("facebench.synthface.degradations.degrade", degrade)
    return ["degrade", "faces", "out", "--kind", "blur"]


def test_an_unexpected_exception_is_one_line_and_exits_with_70(
    facebench: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FACEBENCH_DEBUG", raising=False)
    done = facebench(*fail(RuntimeError("two\nlines"), monkeypatch))
    assert done.returncode == 70
    assert done.stderr.startswith("internal error: RuntimeError: two lines")
    assert "report" in done.stderr
    assert done.stderr.count("\n") == 1


def test_debugging_prints_the_traceback(facebench: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEBENCH_DEBUG", "1")
    done = facebench(*fail(RuntimeError("broken"), monkeypatch))
    assert done.returncode == 70
    assert "Traceback (most recent call last)" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("internal error: RuntimeError: broken")


def test_an_interrupt_is_one_line_and_exits_with_130(
    facebench: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = facebench(*fail(KeyboardInterrupt(), monkeypatch))
    assert done.returncode == cli.INTERRUPTED == 130
    assert done.stderr.splitlines()[-1].startswith("interrupted: computed results are kept")
    assert "Traceback" not in done.stderr


def test_commands_run_in_this_process(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.run_command(["--version"]) == 0
    assert cli.run_command(["no-such-command"]) == 2
    assert cli.run_command(fail(ValueError("broken"), monkeypatch)) == 70
    assert cli.run_command(fail(KeyboardInterrupt(), monkeypatch)) == 130
    assert __version__ in capsys.readouterr().out


def test_output_is_utf8_on_an_ascii_terminal_and_shows_undecodable_names(tmp_path: Path) -> None:
    out = os.fsencode(tmp_path) + b"/\xc3\xa9\xff"
    command = [sys.executable, "-m", "facebench", "synth", out, "--identities", "1", "--images", "1"]
    done = subprocess.run(
        [*command, "--size", "32"], capture_output=True, env=os.environ | {"PYTHONIOENCODING": "ascii:strict"}
    )
    assert done.returncode == 0, done.stderr
    assert "é\\udcff: images".encode() in done.stdout


def test_names_in_error_messages_cannot_command_a_build_server_or_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run_command(["report", "missing\n::error::owned\x1b[31m", "--html", "page.html"]) == 2
    printed = capsys.readouterr().err
    assert "::error::" not in printed
    assert "\x1b" not in printed


def test_an_interrupt_during_the_imports_ends_without_a_traceback() -> None:
    code = (
        "import builtins, runpy\n"
        "imported = builtins.__import__\n"
        "def interrupt(name, *rest, **options):\n"
        "    if name == 'typer':\n"
        "        raise KeyboardInterrupt\n"
        "    return imported(name, *rest, **options)\n"
        "builtins.__import__ = interrupt\n"
        "runpy.run_module('facebench', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr == "interrupted: nothing was computed\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_an_input_error() -> None:
    command = [sys.executable, "-m", "facebench", "metrics"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_reader_that_ends_early_is_not_a_failed_rule() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "facebench", "metrics"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, stderr = process.communicate()
    assert process.returncode == 141
    assert stderr == ""


@pytest.mark.parametrize("words", [["--lang", "ja"], ["--lang=ja"]])
def test_messages_are_written_in_the_language_of_the_option(facebench: Command, words: list[str]) -> None:
    result = facebench("metrics", "fid_claen", *words)
    assert result.returncode == 2
    assert result.stderr.startswith("エラー：「fid_claen」を含む指標はありません。")


def test_help_is_written_in_the_language_of_the_environment(
    facebench: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEBENCH_LANG", "ja")
    assert "評価記録からモデルを順位付けします。" in facebench("leaderboard", "--help").stdout


def test_an_unknown_language_is_an_input_error(facebench: Command) -> None:
    result = facebench("metrics", "--lang", "fr")
    assert result.returncode == 2
    assert "does not write the language 'fr'" in result.stderr


@pytest.mark.parametrize("option", ["--reference", "--out"])
def test_a_path_that_is_too_long_is_an_input_error(facebench: Command, option: str, tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    done = facebench("evaluate", tmp_path, option, "a" * 5000)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 1000
