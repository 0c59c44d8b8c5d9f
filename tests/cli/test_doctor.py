"""`facebench doctor`: networks by kind, and the commands that bring the missing ones."""

from __future__ import annotations

from pathlib import Path

import pytest

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
    assert "facebench weights fetch emonet-8 --accept-licence" in done.stdout
    assert "quality · compact: ready" in done.stdout
