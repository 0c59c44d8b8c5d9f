"""Training of the compact autoencoder: its encoder, pixel weights, resumed runs, and settings of older versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from facebench.core.errors import InputError, WeightsError
from facebench.training.engine import model_file
from facebench.training.models.load import open_autoencoder
from facebench.training.tasks.compact_autoencoder import CompactAutoencoderTask, center_weights
from facebench.training.tasks.face_batches import fixed_faces
from tests.helpers.tiny_training import COMPACT_MODEL, MODEL, SYNTHFACE, prepare, run, train

KIND = "compact-autoencoder"
WITHOUT_DECODER = {**COMPACT_MODEL, "coarse_decoder": False, "residual_diffusion": False}
FORMER_NAMES = {"position_features": "positions", "prediction_type": "predicts", "coarse_decoder": "draft",
                "residual_diffusion": "refines", "center_weight": "focus", "preview_images": "shown"}  # fmt: skip


@pytest.fixture
def frozen(trained_encoder: Path) -> dict[str, Any]:
    """Settings of a run with a frozen encoder."""
    return {
        "model": WITHOUT_DECODER,
        "data": SYNTHFACE,
        "encoder": str(trained_encoder),
        "freeze_encoder": True,
        "preview_images": 2,
        "steps": 2,
        "checkpoint_every": 1,
    }


def former(settings: dict[str, Any]) -> dict[str, Any]:
    """The same settings with the keys of older versions."""
    return {
        FORMER_NAMES.get(key, key): former(value) if isinstance(value, dict) else value
        for key, value in settings.items()
    }


def test_pixel_weights_have_mean_one_and_the_requested_ratio() -> None:
    weights = center_weights(64, 8.0)
    assert weights.mean() == pytest.approx(1)
    assert 7 < weights[32, 32] / weights[0, 0] < 8.1
    assert torch.equal(center_weights(64, 1.0), torch.ones(64, 64))


def test_a_frozen_encoder_gives_the_same_codes_before_and_after_training(
    frozen: dict[str, Any], trained_encoder: Path, tmp_path: Path
) -> None:
    prepared = prepare(KIND, **frozen)
    network: Any = prepared.task.network
    x_0 = fixed_faces(prepared.task.faces, 5).x_0

    def codes(of: Any) -> torch.Tensor:
        with torch.no_grad():
            z_sem: torch.Tensor = of.encode(x_0)
        return z_sem

    before = codes(network.eval())
    assert torch.equal(codes(network.train()), before)
    # The model file holds the moving average, which must not round frozen weights.
    model = run(prepared, tmp_path)
    trained = open_autoencoder(model)
    assert torch.equal(codes(trained), before)
    encoder = model_file.read(trained_encoder).tensors
    for name, value in trained.encoder.state_dict().items():
        assert torch.equal(value, encoder[f"encoder.{name}"]), name
    assert float(trained.unet.out_conv.weight.abs().max()) > 0  # zero in an untrained network
    # The test can fail: with the statistics of these five faces the codes differ.
    network.encoder.train()
    assert not torch.allclose(codes(network), before, atol=1e-3)


def test_an_encoder_that_is_not_frozen_is_trained_further(
    frozen: dict[str, Any], trained_encoder: Path, tmp_path: Path
) -> None:
    # Two layers start at zero; the encoder has gradients once both have changed.
    settings = {**frozen, "freeze_encoder": False, "ema_decay": None, "steps": 4}
    trained = open_autoencoder(train(KIND, tmp_path, **settings))
    before = model_file.read(trained_encoder).tensors
    weights = {name for name, _ in trained.encoder.named_parameters()}
    change = max(
        float((value - before[f"encoder.{name}"]).abs().max())
        for name, value in trained.encoder.state_dict().items()
        if name in weights
    )
    assert 0 < change < 1e-3


@pytest.mark.parametrize("freeze_encoder", [True, False])
def test_resumed_runs_with_batch_normalisation_equal_uninterrupted_ones(
    freeze_encoder: bool, frozen: dict[str, Any], tmp_path: Path
) -> None:
    settings = {**frozen, "freeze_encoder": freeze_encoder}
    train(KIND, tmp_path / "stopped", **{**settings, "steps": 1})
    resumed = load_file(train(KIND, tmp_path / "stopped", **settings))
    whole = load_file(train(KIND, tmp_path / "whole", **settings))
    assert any("running_mean" in name for name in whole)
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_settings_and_runs_of_older_versions_are_continued(frozen: dict[str, Any], tmp_path: Path) -> None:
    """Older versions trained compact autoencoders as `diffae`, with former keys in settings and checkpoints."""
    settings = {**frozen, "center_weight": 4.0}
    whole = load_file(train(KIND, tmp_path / "whole", **settings))
    train(KIND, tmp_path / "stopped", **{**settings, "steps": 1})
    checkpoint = tmp_path / "stopped" / "checkpoints" / "step-00000001" / "state.json"
    content = json.loads(checkpoint.read_text())
    checkpoint.write_text(json.dumps({**content, "settings": former(content["settings"])}))
    prepared = prepare("diffae", **former(settings))
    assert isinstance(prepared.task, CompactAutoencoderTask)
    resumed = load_file(run(prepared, tmp_path / "stopped"))
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_an_encoder_without_a_decoder_is_refused_where_a_decoder_is_needed(frozen: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match=r"lacks 'decoder\."):
        prepare(KIND, **{**frozen, "model": COMPACT_MODEL})


def test_an_encoder_of_other_sizes_is_refused(frozen: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match="to_code"):
        prepare(KIND, **{**frozen, "model": {**WITHOUT_DECODER, "code_channels": 8}})


def test_freezing_an_untrained_encoder_is_refused(frozen: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="freeze_encoder needs a trained encoder"):
        prepare(KIND, **{**frozen, "encoder": None})


@pytest.mark.parametrize(
    "options", [{"prediction_type": "v"}, {"coarse_decoder": True, "residual_diffusion": True}]
)
def test_initial_weights_with_another_meaning_are_refused(
    options: dict[str, Any], trained_diffae: Path
) -> None:
    with pytest.raises(InputError, match="have another meaning"):
        prepare(KIND, model={**MODEL, **options}, data=SYNTHFACE, init_from=str(trained_diffae))
