"""An encoder that was taught what the renderer was told gives a diffusion autoencoder a code worth listening to."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from facebench.errors import WeightsError
from facebench.training import kinds, loop, model_file
from facebench.training.opening import open_diffae

SIZES = {
    "size": 16, "channels": 8, "multipliers": [1, 2], "encoder_multipliers": [1, 2], "time_channels": 16,
    "code_channels": 16, "attention": [8], "blocks": 1, "dropout": 0.0,
}  # fmt: skip
DATA = {"kind": "synthface", "identities": 12, "images": 4, "render": 32, "remember": False}
RUNNING = {"batch": 8, "workers": 0, "checkpoint_every": 1000, "sample_every": 1000, "evaluate_every": None}


def train(kind: str, out: Path, **changes: object) -> Path:
    content = {**RUNNING, "data": DATA, "model": SIZES, **changes}
    content = {
        name: value for name, value in content.items() if value is not None or name == "evaluate_every"
    }
    prepared = kinds.prepare(kind, content, "test")
    return loop.fit(prepared.task, prepared.settings, {}, out, device="cpu", say=lambda text: None)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("encoder")
    optimiser = {"kind": "adamw", "learning_rate": 3e-3}
    held_out = {**DATA, "start": 500}
    train("encoder", out, steps=60, held_out=held_out, optimiser=optimiser, average=None)
    return out


def test_it_reads_strangers_better_than_the_mean_of_all_faces_does(tmp_path: Path) -> None:
    optimiser = {"kind": "adamw", "learning_rate": 3e-3}
    content = {**RUNNING, "data": {**DATA, "identities": 60}, "model": SIZES, "steps": 120, "optimiser": optimiser,
               "held_out": {**DATA, "start": 500}, "average": None}  # fmt: skip
    prepared = kinds.prepare("encoder", content, "test")
    before = prepared.task.evaluate(prepared.task.network)
    loop.fit(prepared.task, prepared.settings, {}, tmp_path, device="cpu", say=lambda text: None)
    after = prepared.task.evaluate(prepared.task.network.eval())
    assert before["scene_r2"] < 0 < after["scene_r2"]
    assert after["view_r2"] > before["view_r2"]


def test_a_frozen_encoder_stays_to_the_bit_while_the_denoiser_learns(encoder: Path, tmp_path: Path) -> None:
    model = train(
        "diffae",
        tmp_path,
        encoder=str(encoder),
        freeze_encoder=True,
        steps=3,
        average=0.99,
        shown=2,
        evaluated=2,
    )
    taught = model_file.read(encoder).tensors
    trained = open_diffae(model)
    for name, value in trained.encoder.state_dict().items():
        assert torch.equal(value, taught[name]), name
    assert float(trained.unet.out_conv.weight.abs().max()) > 0  # it began at zero


def test_without_freezing_the_encoder_goes_on_from_what_it_was_taught(encoder: Path, tmp_path: Path) -> None:
    model = train("diffae", tmp_path, encoder=str(encoder), steps=1, average=None, shown=2, evaluated=2)
    taught = model_file.read(encoder).tensors
    moved = [
        float((value - taught[name]).abs().max())
        for name, value in open_diffae(model).encoder.state_dict().items()
    ]
    assert 0 < max(moved) < 1e-3


def test_an_encoder_of_other_sizes_is_refused(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="to_code"):
        train("diffae", tmp_path, model={**SIZES, "code_channels": 8}, encoder=str(encoder), steps=1)
