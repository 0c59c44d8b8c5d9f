"""`facebench doctor`: networks by kind, and the commands that bring the missing ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from facebench.core.version import __version__
from tests.cli.conftest import Command


def test_doctor_shows_the_networks_of_each_kind(
    facebench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    done = facebench("doctor")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert next(line[:2] for line in lines if line[:1] == ["affect"]) == ["affect", "emonet-8-flip"]
    assert ["faceapi-expression", "●", "at", "hand"] in lines
    assert ["facereader", "●", "at", "hand"] in lines
    commands = done.stdout.partition("Commands for the missing weights:\n")[2].splitlines()
    assert "  facebench weights fetch emonet-8 --accept-licence" in commands
    assert (
        "  facebench weights import maxvit-va FILE (from facebench train affect --config cage-maxvit-va)"
        in commands
    )
    assert "quality · compact: ready" in done.stdout


def test_a_narrow_terminal_cuts_no_name(
    facebench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "40")
    table = facebench("doctor").stdout.partition("Commands for the missing weights:\n")[0]
    lines = [line.split() for line in table.splitlines()]
    assert ["arcface-iresnet100", "import"] in lines
    assert ["faceapi-expression", "●", "at", "hand"] in lines
    assert ["emonet-8-flip", "fetch,", "licence"] in lines
    assert max(map(len, table.splitlines())) <= 40


def test_a_program_gets_one_table_of_everything(facebench: Command) -> None:
    rows = json.loads(facebench("doctor", "--format", "json").stdout)
    states = {(row["section"], row["name"]): row["state"] for row in rows}
    assert states["machine", "facebench"] == __version__
    assert states["network", "quality/sface-quality"] == "at hand, best of its kind"
    assert states["suite", "quality/compact"] == "ready"
