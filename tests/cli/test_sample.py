"""`facebench sample`: new faces from a DDIM model, and from an autoencoder with its latent model."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.cli.conftest import TINY, Command, succeed

pytestmark = pytest.mark.slow


def check_faces(folder: Path) -> None:
    """Check that a folder holds three images of the size of the models."""
    assert [Image.open(file).size for file in folder.iterdir()] == [(16, 16)] * 3


def test_a_latent_model_and_its_autoencoder_generate_faces(autoencoder: Path, tmp_path: Path) -> None:
    small = [
        "model.hidden=16",
        "model.layers=3",
        "model.time_channels=16",
        "batch_size=8",
        "steps=2",
        "workers=0",
    ]
    data = [
        "data.identities=5",
        "data.images=4",
        "data.render=16",
        "data.align=false",
        "data.cache_renders=true",
    ]
    latent = tmp_path / "latent"
    words = [f"checkpoint={autoencoder}", *small, *data, "sample_every=100"]
    succeed("train", "latent-dpm", *words, "--out", latent, "--device", "cpu")
    succeed("sample", autoencoder, tmp_path / "faces", "--latent", latent, "--count", 3, "--steps", 2)
    check_faces(tmp_path / "faces")


def test_a_ddim_model_generates_faces(tmp_path: Path) -> None:
    succeed("train", "ddim", *TINY, "--out", tmp_path / "ddim", "--device", "cpu")
    succeed("sample", tmp_path / "ddim", tmp_path / "faces", "--count", 3, "--steps", 2)
    check_faces(tmp_path / "faces")


def test_a_file_that_is_not_a_model_is_one_message(facebench: Command, tmp_path: Path) -> None:
    (tmp_path / "model.txt").write_text("weights")
    done = facebench("sample", tmp_path / "model.txt", tmp_path / "out")
    assert done.returncode == 2
    assert "cannot be read as a safetensors" in done.stderr
