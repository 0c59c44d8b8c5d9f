"""Trained encoder that the tests of the encoder and of the compact autoencoder share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.tiny_training import COMPACT_MODEL, SYNTHFACE, train


@pytest.fixture(scope="session")
def trained_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model of an encoder with batch normalisation, whose statistics differ from the initial ones; no decoder."""
    model = {**COMPACT_MODEL, "coarse_decoder": False, "residual_diffusion": False}
    out, held_out = tmp_path_factory.mktemp("encoder"), {**SYNTHFACE, "start": 500}
    return train("encoder", out, model=model, data=SYNTHFACE, held_out=held_out, ema_decay=None, batch=8)
