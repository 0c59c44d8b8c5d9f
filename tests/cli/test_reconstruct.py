"""`facebench reconstruct`: one reconstruction of every face."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import FEW_STEPS, Command

pytestmark = pytest.mark.slow


def test_every_face_is_reconstructed(
    facebench: Command, autoencoder: Path, small_faces: Path, tmp_path: Path
) -> None:
    done = facebench("reconstruct", small_faces, tmp_path / "out", "--checkpoint", autoencoder, *FEW_STEPS)
    assert done.returncode == 0, done.stderr
    assert "4 reconstructions" in done.stdout
    assert len(list((tmp_path / "out" / "images").rglob("*.png"))) == 4


def test_a_missing_model_is_one_message(facebench: Command, small_faces: Path, tmp_path: Path) -> None:
    done = facebench("reconstruct", small_faces, tmp_path / "out", "--checkpoint", tmp_path / "none")
    assert done.returncode == 2
    assert "does not exist. Give a file, a run's folder" in done.stderr
