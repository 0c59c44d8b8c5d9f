"""Supervised training of the semantic encoder and the coarse decoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from facebench.training.engine import model_file
from facebench.training.tasks.face_batches import fixed_faces
from tests.helpers.tiny_training import COMPACT_MODEL, MODEL, SYNTHFACE, log_values, prepare, run, train

OPTIMISER = {"kind": "adamw", "learning_rate": 3e-3}
HELD_OUT = {**SYNTHFACE, "start": 500}
RUN: dict[str, Any] = {"held_out": HELD_OUT, "optimizer": OPTIMISER, "ema_decay": None, "batch_size": 8}
DECODER: dict[str, Any] = {**RUN, "model": COMPACT_MODEL, "freeze_encoder": True, "steps": 40}
PAIRS = {**SYNTHFACE, "pairs": True}


def test_parameters_of_unknown_people_are_predicted_better_than_by_their_mean(tmp_path: Path) -> None:
    data = {**SYNTHFACE, "identities": 60}
    prepared = prepare("encoder", **RUN, model=MODEL, data=data, steps=120)
    before = prepared.task.evaluate(prepared.task.network)
    run(prepared, tmp_path)
    after = prepared.task.evaluate(prepared.task.network.eval())
    assert before["scene_r2"] < 0 < after["scene_r2"]
    assert after["view_r2"] > before["view_r2"]


def test_the_decoder_learns_faces_and_their_changes_while_the_encoder_is_frozen(
    trained_encoder: Path, tmp_path: Path
) -> None:
    model = train("encoder", tmp_path / "first", **DECODER, encoder=str(trained_encoder), data=PAIRS)
    tensors, before = model_file.read(model).tensors, model_file.read(trained_encoder).tensors
    assert all(torch.equal(tensors[name], value) for name, value in before.items())
    coarse, change = (log_values(tmp_path / "first", name) for name in ("coarse_face", "change"))
    assert np.mean(change[-5:]) < np.mean(change[:5])
    # A second run sees the same first batch; with a negligible learning rate, it shows what the first run learnt.
    slow = {**DECODER, "optimizer": {**OPTIMISER, "learning_rate": 1e-12}, "steps": 1}
    train("encoder", tmp_path / "second", **slow, encoder=str(model), data=PAIRS)
    assert log_values(tmp_path / "second", "coarse_face")[0] < 0.5 * coarse[0]


def test_a_frozen_encoder_encodes_each_face_once(trained_encoder: Path) -> None:
    settings = {**DECODER, "steps": 1, "held_out": PAIRS}
    task: Any = prepare("encoder", **settings, encoder=str(trained_encoder), data=PAIRS).task
    batch = fixed_faces(task.faces, 8)
    others = batch.fields["other_image"].permute(0, 3, 1, 2).float() / 127.5 - 1
    encoder = task.network.encoder.eval()
    with torch.no_grad():
        for images, name in ((batch.x_0, "z_sem"), (others, "other_z_sem")):
            assert torch.allclose(encoder(images), batch.fields[name], atol=1e-5)
    assert not torch.equal(batch.fields["z_sem"], batch.fields["other_z_sem"])
