"""`facebench init`: the printed commands go to stdout, remarks to stderr."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command


def test_commands_are_printed_for_a_folder(facebench: Command, tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = facebench("init", tmp_path)
    assert done.returncode == 0
    assert f"facebench evaluate {tmp_path} --reference REAL" in done.stdout
    assert "Replace REAL" in done.stderr


def test_a_missing_folder_is_an_input_error(facebench: Command, tmp_path: Path) -> None:
    done = facebench("init", tmp_path / "none")
    assert done.returncode == 2
    assert "There is nothing at" in done.stderr
