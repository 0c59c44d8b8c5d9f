"""`facebench synth`: rendered sets are reproducible."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command


def test_equal_seeds_give_equal_bytes(facebench: Command, tmp_path: Path) -> None:
    for name in ("one", "two"):
        done = facebench(
            "synth", tmp_path / name, "--identities", 2, "--images", 2, "--size", 64, "--seed", 7
        )
        assert done.returncode == 0, done.stderr
    first, second = (
        {file.name: file.read_bytes() for file in (tmp_path / name / "images" / "id001").iterdir()}
        for name in ("one", "two")
    )
    assert first == second
