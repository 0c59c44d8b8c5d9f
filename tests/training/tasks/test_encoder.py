"""An encoder that was taught what the renderer was told gives a diffusion autoencoder a code worth listening to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from facebench.core.errors import InputError, WeightsError
from facebench.training.engine import loop, model_file
from facebench.training.models.load import open_diffae
from facebench.training.tasks import registry
from facebench.training.tasks.diffae import fixed_faces

SIZES = {
    "size": 16, "channels": 8, "multipliers": [1, 2], "encoder_multipliers": [1, 2], "time_channels": 16,
    "code_channels": 16, "attention": [8], "blocks": 1, "dropout": 0.0,
}  # fmt: skip
BATCHED = {**SIZES, "encoder_norm": "batch"}
DATA = {"kind": "synthface", "identities": 12, "images": 4, "render": 32, "remember": False}
RUNNING = {"batch": 8, "workers": 0, "checkpoint_every": 1000, "sample_every": 1000, "evaluate_every": None}


def prepared_for(kind: str, **changes: object) -> registry.Prepared:
    content = {**RUNNING, "data": DATA, "model": SIZES, **changes}
    return registry.prepare(kind, content, "test")


def train(kind: str, out: Path, **changes: object) -> Path:
    prepared = prepared_for(kind, **changes)
    return loop.fit(prepared.task, prepared.settings, {}, out, device="cpu", say=lambda text: None)


def logged(run: Path, name: str) -> list[float]:
    """The values of one name in log.csv, by step."""
    lines = [line.split(",") for line in (run / "log.csv").read_text().splitlines()]
    return [float(value) for _, found, value in lines if found == name]


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
    prepared = registry.prepare("encoder", content, "test")
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
        assert torch.equal(value, taught[f"encoder.{name}"]), name
    assert float(trained.unet.out_conv.weight.abs().max()) > 0  # it began at zero


def test_without_freezing_the_encoder_goes_on_from_what_it_was_taught(encoder: Path, tmp_path: Path) -> None:
    # Two layers begin at zero, and gradients reach the encoder when both have moved.
    model = train("diffae", tmp_path, encoder=str(encoder), steps=4, average=None, shown=2, evaluated=2)
    taught = model_file.read(encoder).tensors
    moved = [
        float((value - taught[f"encoder.{name}"]).abs().max())
        for name, value in open_diffae(model).encoder.state_dict().items()
    ]
    assert 0 < max(moved) < 1e-3


def test_an_encoder_of_other_sizes_is_refused(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="to_code"):
        train("diffae", tmp_path, model={**SIZES, "code_channels": 8}, encoder=str(encoder), steps=1)


@pytest.fixture(scope="module")
def batched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder in batch normalisation, whose statistics are no longer those of its first moment."""
    out = tmp_path_factory.mktemp("batched")
    train("encoder", out, model=BATCHED, steps=4, held_out={**DATA, "start": 500}, average=None)
    return out


def frozen(batched: Path, **changes: object) -> dict[str, object]:
    return {"model": BATCHED, "encoder": str(batched), "freeze_encoder": True, "shown": 2, **changes}


def test_a_frozen_encoder_in_batch_normalisation_gives_the_same_codes_before_and_after_training(
    batched: Path, tmp_path: Path
) -> None:
    prepared = prepared_for("diffae", **frozen(batched, steps=3, average=0.9))
    network: Any = prepared.task.network
    x_0 = fixed_faces(prepared.task.faces, 5).x_0

    def codes(of: Any) -> torch.Tensor:
        with torch.no_grad():
            return of.encode(x_0)

    before = codes(network.eval())
    assert torch.equal(codes(network.train()), before)
    # The model file is made of the average, whose rounding must not move them either.
    model = loop.fit(prepared.task, prepared.settings, {}, tmp_path, device="cpu", say=lambda text: None)
    # Another order in memory adds up in another order.
    assert torch.equal(codes(network.to(memory_format=torch.contiguous_format)), before)
    assert torch.equal(codes(open_diffae(model)), before)
    # It would show: the statistics of these five faces are not those that were learnt.
    network.encoder.train()
    assert not torch.allclose(codes(network), before, atol=1e-3)


def test_a_run_with_a_frozen_encoder_in_batch_normalisation_goes_on_exactly(
    batched: Path, tmp_path: Path
) -> None:
    def run(steps: int, out: str) -> dict[str, torch.Tensor]:
        model = train("diffae", tmp_path / out, **frozen(batched, steps=steps, average=0.9))
        return model_file.read(model).tensors

    run(2, "stopped")
    resumed, whole = run(4, "stopped"), run(4, "whole")
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_a_run_whose_batch_normalisation_learns_goes_on_exactly(tmp_path: Path) -> None:
    def run(steps: int, out: str) -> dict[str, torch.Tensor]:
        model = train("diffae", tmp_path / out, model=BATCHED, steps=steps, average=0.9, shown=2)
        return model_file.read(model).tensors

    run(2, "stopped")
    resumed, whole = run(4, "stopped"), run(4, "whole")
    assert any("running_mean" in name for name in whole)
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_freezing_an_encoder_that_knows_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="freeze_encoder needs a trained encoder"):
        prepared_for("diffae", freeze_encoder=True, steps=1)


DRAFTED = {**BATCHED, "draft": True}


def test_a_decoder_learns_to_draft_faces_beside_a_frozen_encoder_and_the_autoencoder_takes_both(
    batched: Path, tmp_path: Path
) -> None:
    optimiser = {"kind": "adamw", "learning_rate": 3e-3}
    held_out = {**DATA, "start": 500}
    given = {"model": DRAFTED, "held_out": held_out, "average": None, "optimiser": optimiser, "steps": 40}
    drafting = train("encoder", tmp_path / "decoder", encoder=str(batched), freeze_encoder=True, **given)
    taught, before = model_file.read(drafting).tensors, model_file.read(batched).tensors
    assert all(torch.equal(value, taught[name]) for name, value in before.items())
    drafts = logged(tmp_path / "decoder", "draft")
    assert drafts[-1] < 0.5 * drafts[0]
    model = train("diffae", tmp_path / "diffae", **{**frozen(drafting), "model": DRAFTED}, steps=2)
    kept = open_diffae(model)
    assert all(
        torch.equal(value, taught[f"decoder.{name}"]) for name, value in kept.decoder.state_dict().items()
    )


def test_an_encoder_that_brings_no_decoder_is_refused_where_one_is_wanted(
    batched: Path, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=r"lacks 'decoder\."):
        train("diffae", tmp_path, **{**frozen(batched), "model": DRAFTED}, steps=1)


def test_from_pairs_a_decoder_learns_how_a_change_of_expression_looks(batched: Path, tmp_path: Path) -> None:
    optimiser = {"kind": "adamw", "learning_rate": 3e-3}
    given = {"model": DRAFTED, "held_out": {**DATA, "start": 500}, "average": None, "optimiser": optimiser}
    out = tmp_path / "pairs"
    first = train("encoder", out, encoder=str(batched), data={**DATA, "pairs": True}, steps=40, **given)
    changes = logged(out, "change")
    assert len(changes) == 40
    assert np.mean(changes[-5:]) < np.mean(changes[:5])
    # The same faces again, at a rate that moves nothing: training goes on from the decoder too.
    still = {**given, "optimiser": {**optimiser, "learning_rate": 1e-12}}
    train("encoder", tmp_path / "on", encoder=str(first), data={**DATA, "pairs": True}, steps=1, **still)
    assert logged(tmp_path / "on", "draft")[0] < 0.5 * logged(out, "draft")[0]


def test_a_frozen_encoder_looks_at_every_face_once(batched: Path) -> None:
    data = {**DATA, "pairs": True}
    given = {"model": DRAFTED, "held_out": data, "encoder": str(batched), "freeze_encoder": True, "steps": 1}
    task = prepared_for("encoder", data=data, **given).task
    batch = fixed_faces(task.faces, 8)
    others = batch.fields["other_image"].permute(0, 3, 1, 2).float() / 127.5 - 1
    encoder = task.network.encoder.eval()
    with torch.no_grad():
        for images, name in ((batch.x_0, "z_sem"), (others, "other_z_sem")):
            assert torch.allclose(encoder(images), batch.fields[name], atol=1e-5)
    assert not torch.equal(batch.fields["z_sem"], batch.fields["other_z_sem"])


def test_weights_that_would_mean_something_else_are_refused(batched: Path, tmp_path: Path) -> None:
    start = train("diffae", tmp_path / "start", model=SIZES, steps=1)
    for changed in ({"predicts": "v"}, {"draft": True, "refines": True}):
        with pytest.raises(InputError, match="would mean something else"):
            train("diffae", tmp_path / "on", model={**SIZES, **changed}, start=str(start), steps=1)
