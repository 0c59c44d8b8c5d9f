"""LoRA on a diffusion autoencoder: only adapters are trained, and model files hold the merged weights."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from facebench.core.errors import InputError
from facebench.training.engine import model_file
from facebench.training.engine.checkpoints import Checkpoint
from facebench.training.engine.fingerprint import fingerprint
from facebench.training.engine.rng import StepRng
from facebench.training.models import DiffusionAutoencoder
from facebench.training.models.load import open_autoencoder
from facebench.training.tasks.face_batches import fixed_faces
from tests.helpers.tiny_training import MODEL, prepare, run, train

LORA = {"rank": 2, "alpha": 3.5}


@pytest.fixture
def personal(noise_images: Path, trained_diffae: Path) -> dict[str, Any]:
    """Settings of a run that trains adapters of the trained autoencoder."""
    return {
        "model": MODEL,
        "data": {"kind": "folder", "path": str(noise_images)},
        "init_from": str(trained_diffae),
        "lora": LORA,
        "optimizer": {"learning_rate": 1e-2},
        "preview_images": 2,
    }


def predict(network: DiffusionAutoencoder) -> Tensor:
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        eps: Tensor = network(x, torch.tensor([10, 700]), network.encode(x))
    return eps


def test_all_convolutions_of_the_u_net_have_adapters_and_only_adapters_have_gradients(
    personal: dict[str, Any], trained_diffae: Path
) -> None:
    task: Any = prepare("diffae", **personal).task
    adapted = {name.rpartition(".lora_A")[0] for name, _ in task.network.named_modules() if "lora_A" in name}
    convolutions = {
        name
        for name, layer in open_autoencoder(trained_diffae).named_modules()
        if name.startswith("unet.") and isinstance(layer, (nn.Conv1d, nn.Conv2d))
    }
    assert adapted == convolutions
    assert any(name.endswith("qkv") for name in adapted)
    assert any(name.endswith("conv_2") for name in adapted)
    batch = fixed_faces(task.faces, 4)
    task.losses(task.network.train(), batch, StepRng(0, 0, 4, torch.arange(4)))["loss"].backward()
    with_gradient = {name for name, value in task.network.named_parameters() if value.grad is not None}
    assert with_gradient == {name for name, _ in task.network.named_parameters() if "lora_" in name}
    assert {id(value) for value in task.parameters()} == {
        id(value) for name, value in task.network.named_parameters() if name in with_gradient
    }


def test_training_starts_with_the_unchanged_network(personal: dict[str, Any], trained_diffae: Path) -> None:
    task: Any = prepare("diffae", **personal).task
    assert torch.equal(predict(task.network.eval()), predict(open_autoencoder(trained_diffae)))


@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_the_base_stays_unchanged_and_the_model_holds_the_merged_weights(
    ema_decay: float | None, personal: dict[str, Any], trained_diffae: Path, tmp_path: Path
) -> None:
    prepared = prepare("diffae", **personal, ema_decay=ema_decay, loss={"prior": 1.0}, prior_images=2)
    path = run(prepared, tmp_path)
    network: Any = prepared.task.network
    before, adapted, after = load_file(trained_diffae), network.state_dict(), load_file(path)
    for name, value in before.items():
        layer, _, parameter = name.rpartition(".")
        assert torch.equal(adapted.get(f"{layer}.base_layer.{parameter}", adapted.get(name)), value)
    assert after.keys() == before.keys()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {f"{name.partition('.lora_B')[0]}.weight" for name in adapted if "lora_B" in name}
    if ema_decay is None:
        with_adapters = predict(network.eval())
        assert float((with_adapters - predict(open_autoencoder(trained_diffae))).abs().max()) > 1e-2
        assert float((with_adapters - predict(open_autoencoder(path))).abs().max()) < 1e-4


def test_checkpoints_hold_adapters_only_and_a_resumed_run_equals_an_uninterrupted_one(
    personal: dict[str, Any], tmp_path: Path
) -> None:
    def interrupt(step: int, steps: int, values: Any) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    whole = load_file(train("diffae", tmp_path / "whole", **personal))
    with pytest.raises(KeyboardInterrupt):
        run(prepare("diffae", **personal), tmp_path / "stopped", on_step=interrupt)
    newest = Checkpoint.latest(tmp_path / "stopped" / "checkpoints")
    assert newest is not None
    tensors = Checkpoint.load(newest).tensors
    for part in ("model", "ema"):
        assert tensors[part]
        assert all("lora_" in name for name in tensors[part])
    resumed = load_file(train("diffae", tmp_path / "stopped", **personal))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize("changes", [{}, {"lora": None, "loss": {"prior": 1.0}, "prior_images": 2}])
def test_a_run_does_not_resume_if_its_initial_weights_have_changed(
    changes: dict[str, Any], personal: dict[str, Any], trained_diffae: Path, tmp_path: Path
) -> None:
    path = tmp_path / "initial.safetensors"
    path.write_bytes(trained_diffae.read_bytes())
    settings = {**personal, "init_from": str(path), **changes}
    train("diffae", tmp_path / "run", **settings, steps=1)
    model = model_file.read(path)
    next(iter(model.tensors.values())).add_(0.1)
    model_file.write(path, model)
    with pytest.raises(InputError, match="holds other weights than when this run began"):
        train("diffae", tmp_path / "run", **settings)


def test_adapters_need_initial_weights(personal: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="lora needs `init_from`"):
        prepare("diffae", **{**personal, "init_from": None})


def test_a_fingerprint_identifies_weights_but_not_their_precision() -> None:
    torch.manual_seed(0)
    network, other = nn.Linear(3, 3), nn.Linear(3, 3)
    assert fingerprint(network) != fingerprint(other)
    other.load_state_dict(network.state_dict())
    assert fingerprint(network) == fingerprint(other) == fingerprint(other.half())
