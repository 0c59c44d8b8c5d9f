"""Adapters on a diffusion autoencoder: only they move, and what is saved is a plain autoencoder that has them in it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from facebench.core.errors import InputError
from facebench.training.engine import checkpoints
from facebench.training.engine.fingerprint import fingerprint
from facebench.training.engine.loop import fit
from facebench.training.engine.rng import StepRng
from facebench.training.models.load import open_diffae
from facebench.training.tasks import registry
from facebench.training.tasks.diffae import fixed_faces
from tests.training.engine.test_loop import TINY

LORA = {"rank": 2, "alpha": 3.5}


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    for number in range(6):
        Image.fromarray(rng.integers(256, size=(16, 16, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return folder


def settings(faces: Path, **changes: Any) -> dict[str, Any]:
    return {**TINY, "data": {"kind": "folder", "path": str(faces)}, **changes}


def train(content: dict[str, Any], out: Path, **options: Any) -> tuple[Any, Path]:
    prepared = registry.prepare("diffae", content, "test")
    plain = prepared.settings.model_dump(mode="json")
    path = fit(prepared.task, prepared.settings, plain, out, device="cpu", **options)
    return prepared.task, path


@pytest.fixture(scope="module")
def start(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained autoencoder: of an untrained one, half of the convolutions are zero."""
    return train(settings(faces, steps=3), tmp_path_factory.mktemp("start"))[1]


def personal(faces: Path, start: Path, **changes: Any) -> dict[str, Any]:
    fast = {"learning_rate": 1e-2}
    return settings(faces, start=str(start), lora=LORA, optimiser=fast, **changes)


def test_convolutions_and_attention_of_the_u_net_have_adapters_and_only_these_have_gradients(
    faces: Path, start: Path
) -> None:
    task: Any = registry.prepare("diffae", personal(faces, start), "test").task
    adapted = {name.rpartition(".lora_A")[0] for name, _ in task.network.named_modules() if "lora_A" in name}
    plain = open_diffae(start)
    convolutions = {
        name
        for name, layer in plain.named_modules()
        if name.startswith("unet.") and isinstance(layer, (nn.Conv1d, nn.Conv2d))
    }
    assert adapted == convolutions
    assert any(name.endswith("qkv") for name in adapted)
    assert any(name.endswith("conv_2") for name in adapted)
    batch = fixed_faces(task.faces, 4)
    task.losses(task.network.train(), batch, StepRng(0, 0, 4, torch.arange(4)))["loss"].backward()
    reached = {name for name, value in task.network.named_parameters() if value.grad is not None}
    assert reached == {name for name, _ in task.network.named_parameters() if "lora_" in name}
    assert {id(value) for value in task.parameters()} == {
        id(value) for name, value in task.network.named_parameters() if name in reached
    }


def test_training_begins_with_the_network_as_it_was(faces: Path, start: Path) -> None:
    task: Any = registry.prepare("diffae", personal(faces, start), "test").task
    x, t = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.tensor([10, 700])
    before = open_diffae(start)
    with torch.no_grad():
        now = task.network.eval()(x, t, task.network.encode(x))
        assert torch.equal(now, before(x, t, before.encode(x)))


@pytest.mark.parametrize("average", [None, 0.9])
def test_the_base_stays_bit_for_bit_and_the_model_has_the_adapters_in_it(
    average: float | None, faces: Path, start: Path, tmp_path: Path
) -> None:
    task, path = train(personal(faces, start, average=average, loss={"prior": 1.0}, prior_images=2), tmp_path)
    before, frozen = load_file(start), task.network.state_dict()
    for name, value in before.items():
        place, _, kind = name.rpartition(".")
        kept = frozen.get(f"{place}.base_layer.{kind}", frozen.get(name))
        assert torch.equal(kept, value)
    after = load_file(path)
    assert after.keys() == before.keys()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    layers = {name.partition(".lora_B")[0] for name in frozen if "lora_B" in name}
    assert changed == {f"{layer}.weight" for layer in layers}
    if average is None:
        x, t = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.tensor([10, 700])
        plain = open_diffae(path)
        with torch.no_grad():
            apart = task.network.eval()(x, t, task.network.encode(x))
            together = plain(x, t, plain.encode(x))
        assert float((apart - before_of(start, x, t)).abs().max()) > 1e-2
        assert float((apart - together).abs().max()) < 1e-4


def before_of(start: Path, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    network = open_diffae(start)
    with torch.no_grad():
        return network(x, t, network.encode(x))


def test_a_checkpoint_holds_only_adapters_and_a_stopped_run_ends_with_the_weights_of_one_that_was_not(
    faces: Path, start: Path, tmp_path: Path
) -> None:
    def interrupt(step: int, steps: int, values: Any) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    content = personal(faces, start)
    whole = load_file(train(content, tmp_path / "whole")[1])
    with pytest.raises(KeyboardInterrupt):
        train(content, tmp_path / "stopped", watch=interrupt)
    newest = checkpoints.latest(tmp_path / "stopped" / "checkpoints")
    assert newest is not None
    tensors = checkpoints.load(newest).tensors
    for part in ("model", "average"):
        assert tensors[part]
        assert all("lora_" in name for name in tensors[part])
    resumed = load_file(train(content, tmp_path / "stopped")[1])
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize("changes", [{}, {"lora": None, "loss": {"prior": 1.0}, "prior_images": 2}])
def test_adapters_and_prior_faces_are_not_those_of_another_start_when_a_run_goes_on(
    changes: dict[str, Any], faces: Path, start: Path, tmp_path: Path
) -> None:
    moving = tmp_path / "moving.safetensors"
    moving.write_bytes(start.read_bytes())
    train({**personal(faces, moving, steps=1), **changes}, tmp_path / "run")
    other = train(settings(faces, steps=2), tmp_path / "other")[1]
    moving.write_bytes(other.read_bytes())
    with pytest.raises(InputError, match="holds other weights than when this run began"):
        train({**personal(faces, moving), **changes}, tmp_path / "run")


def test_adapters_without_a_start_are_refused(faces: Path) -> None:
    with pytest.raises(InputError, match="lora needs `start`"):
        registry.prepare("diffae", settings(faces, lora=LORA), "test")


def test_a_fingerprint_tells_networks_apart_but_not_copies_of_one() -> None:
    torch.manual_seed(0)
    one, other = nn.Linear(3, 3), nn.Linear(3, 3)
    assert fingerprint(one) != fingerprint(other)
    other.load_state_dict(one.state_dict())
    assert fingerprint(one) == fingerprint(other) == fingerprint(other.half())
