"""`facebench train`: files of a run, directions of attributes, and wrong settings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Command


def test_a_run_has_settings_a_log_samples_and_the_model(autoencoder: Path) -> None:
    assert {"settings.yaml", "log.csv", "samples", "checkpoints", "model.safetensors"} <= {
        path.name for path in autoencoder.iterdir()
    }
    sample = np.asarray(Image.open(autoencoder / "samples" / "reconstructions-00000002.png"))
    assert sample.shape == (3 * 16 + 2 * 2, 2 * 16 + 2, 3)


def test_the_classifier_prints_the_score_of_every_attribute(
    facebench: Command, autoencoder: Path, tmp_path: Path
) -> None:
    data = [
        "data.identities=20",
        "data.images=8",
        "data.render=16",
        "data.align=false",
        "data.cache_renders=true",
    ]
    done = facebench(
        "train", "classifier", f"checkpoint={autoencoder}", "method=lda", *data, "--out", tmp_path / "out"
    )
    assert done.returncode == 0, done.stderr
    for attribute in ("happy", "valence"):
        assert attribute in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["diffea"], "Did you mean diffae?"),
        (["diffae", "--config", "diffae-64-sinthface"], "Did you mean diffae-64-synthface"),
        (["ddim", "--config", "diffae-64-synthface"], "Use: facebench train compact-autoencoder"),
        (["diffae", "no-such-folder"], "'no-such-folder' is neither a changed setting"),
    ],
)
def test_wrong_settings_are_one_message(
    facebench: Command, tmp_path: Path, words: list[str], message: str
) -> None:
    done = facebench("train", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
