"""Opening model files, including those of older versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from facebench.core.errors import WeightsError
from facebench.training.engine import model_file
from facebench.training.engine.model_file import ModelFile
from facebench.training.models import (
    CompactAutoencoder,
    CompactAutoencoderConfig,
    CompactRig,
    CompactRigConfig,
    DiffAE,
    DiffAEConfig,
    DiffusionRig,
    DiffusionRigConfig,
)
from facebench.training.models.load import open_autoencoder, open_rig_model
from tests.helpers.tiny_training import SIZES

FORMER_DIFFAE = {"groups": 32, "encoder_norm": "group", "code_shift": False, "patch": 1, "positions": False,
                 "predicts": "eps", "draft": False, "refines": False}  # fmt: skip
RIG_SIZES = {
    "size": 16,
    "multipliers": (1, 2),
    "channels": 8,
    "time_channels": 16,
    "blocks": 1,
    "attention": (),
}
FORMER_RIG = {"groups": 32, "patch": 1, "positions": False, "predicts": "eps"}


def written(path: Path, kind: str, network: nn.Module, architecture: dict[str, Any]) -> Path:
    model_file.write(path, ModelFile(kind, network.state_dict(), architecture))
    return path


@pytest.mark.parametrize(
    ("options", "network"),
    [
        ({}, DiffAE(DiffAEConfig(**SIZES))),
        (
            {"predicts": "v", "draft": True, "positions": True},
            CompactAutoencoder(
                CompactAutoencoderConfig(
                    **SIZES, prediction_type="v", coarse_decoder=True, position_features=True
                )
            ),
        ),
    ],
)
def test_autoencoders_of_older_versions_open(options: dict[str, Any], network: Any, tmp_path: Path) -> None:
    path = written(tmp_path / "old", "diffae", network, {**SIZES, **FORMER_DIFFAE, **options})
    opened = open_autoencoder(path)
    assert type(opened) is type(network)
    assert opened.config == network.config
    assert all(torch.equal(opened.state_dict()[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("options", "network"),
    [
        ({}, DiffusionRig(DiffusionRigConfig(**RIG_SIZES))),
        ({"predicts": "change"}, CompactRig(CompactRigConfig(**RIG_SIZES, prediction_type="change"))),
    ],
)
def test_rigs_of_older_versions_open(options: dict[str, Any], network: Any, tmp_path: Path) -> None:
    path = written(tmp_path / "old", "rig", network, {**RIG_SIZES, **FORMER_RIG, **options})
    opened, _ = open_rig_model(path)
    assert type(opened) is type(network)
    assert opened.config == network.config


def test_the_shipped_autoencoder_is_a_compact_autoencoder() -> None:
    network = open_autoencoder(Path("diffae-64-synthface"))
    assert isinstance(network, CompactAutoencoder)
    config = network.config
    assert (config.prediction_type, config.coarse_decoder, config.residual_diffusion) == ("v", True, True)


def test_other_kinds_of_models_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "other", "ddim", nn.Linear(1, 1), {})
    with pytest.raises(WeightsError, match="'ddim', 'diffae' or 'compact-autoencoder' is needed"):
        open_autoencoder(path)
    with pytest.raises(WeightsError, match="'ddim', 'rig' or 'rig-emo' or 'compact-rig' is needed"):
        open_rig_model(path)


def test_an_architecture_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "new", "diffae", nn.Linear(1, 1), {**SIZES, "experts": 8})
    with pytest.raises(WeightsError, match=r"experts.*newer version"):
        open_autoencoder(path)
