"""DiffAE: parity with the official network, and its configuration."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from facebench.training import load_official
from facebench.training.models import DiffAE, DiffAEConfig
from facebench.training.models.diffae import TINY
from tests.helpers.tiny_training import SIZES


def test_diffae_tiny_matches_the_official_codes_and_predictions(golden):
    record = golden("diffae_tiny")
    model = load_official("diffae-tiny", record.state())
    with torch.no_grad():
        z_sem = model.encode(record["x"])
        record.check("z_sem", z_sem)
        record.check("eps", model(record["x_t"], record["t"], z_sem))


def test_untrained_networks_predict_zero():
    model = DiffAE(TINY).eval()
    with torch.no_grad():
        eps = model(torch.randn(1, 3, 32, 32), torch.tensor([3]), torch.randn(1, 64))
    assert torch.equal(eps, torch.zeros_like(eps))


def test_stochastic_codes_and_decoded_faces_match_the_official_ones(golden):
    record = golden("diffae_tiny")
    model = load_official("diffae-tiny", record.state())
    with torch.no_grad():
        z_sem = model.encode(record["x"])
    noise = record.manifest["tolerance"]["encode_clip"]["float32_noise_of_the_whole_chain"]
    x_T = model.encode_stochastic(record["x"], z_sem, 10)
    torch.testing.assert_close(x_T, record["encode_clip"][-1], rtol=0, atol=10 * noise)
    record.check("decode_of_encode", model.decode(record["encode_clip"][-1], z_sem, 10))


@pytest.mark.parametrize(
    "option", [{"patch": 2}, {"predicts": "v"}, {"prediction_type": "v"}, {"draft": True}]
)
def test_options_of_the_compact_autoencoder_are_refused(option):
    with pytest.raises(ValidationError, match=next(iter(option))):
        DiffAEConfig.model_validate({**SIZES, **option})


def test_headers_of_older_versions_are_read():
    old = {"groups": 32, "encoder_norm": "group", "code_shift": False, "patch": 1, "positions": False,
           "predicts": "eps", "draft": False, "refines": False}  # fmt: skip
    assert DiffAEConfig.model_validate({**SIZES, **old}) == DiffAEConfig(**SIZES)
