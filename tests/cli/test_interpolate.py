"""`facebench interpolate`: images between two faces."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import FEW_STEPS, Command

pytestmark = pytest.mark.slow


def test_frames_are_written(facebench: Command, autoencoder: Path, small_faces: Path, tmp_path: Path) -> None:
    ends = sorted((small_faces / "images").rglob("*.png"))[:2]
    words = ["--checkpoint", autoencoder, "--frames", 5, *FEW_STEPS]
    done = facebench("interpolate", *ends, tmp_path / "out", *words)
    assert done.returncode == 0, done.stderr
    assert [file.name for file in sorted((tmp_path / "out").iterdir())] == [f"{n:03d}.png" for n in range(5)]


def test_an_unreadable_image_is_named(facebench: Command, autoencoder: Path, tmp_path: Path) -> None:
    done = facebench(
        "interpolate", tmp_path / "a.png", tmp_path / "b.png", tmp_path / "out", "--checkpoint", autoencoder
    )
    assert done.returncode == 2
    assert "a.png: cannot be read" in done.stderr
