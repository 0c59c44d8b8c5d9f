"""The optimizer state of stage 1: of the public scripts by the order of their parameters, and of facebench."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from facebench.core.errors import InputError, WeightsError
from facebench.training.models import DiffusionRigEmo, DiffusionRigEmoConfig
from facebench.training.models.official import official_names
from facebench.training.rig.optimizer_state import moments_of_stage_1, numbered_tensors

TINY = DiffusionRigEmoConfig(
    size=16, multipliers=(1, 2), channels=16, time_channels=16, blocks=1, attention=(), dropout=0.0
)


@pytest.fixture
def network() -> DiffusionRigEmo:
    torch.manual_seed(0)
    return DiffusionRigEmo(TINY)


def official_files(folder: Path, network: DiffusionRigEmo, *, unet_only: bool) -> tuple[Path, Path]:
    """Write a model and the state of its optimizer after a step, with the parameters in another order than ours."""
    names = official_names(network)
    state = {names[key]: value for key, value in network.state_dict().items()}
    order = sorted(state, reverse=True)
    parameters = {names[name]: parameter for name, parameter in network.named_parameters()}
    trained = [parameters[key] for key in order if key in parameters]
    if unet_only:
        trained = [parameters[key] for key in order if key in parameters and key.startswith("denoisingUNet.")]
    optimizer = torch.optim.Adam(trained, 1e-4)
    for number, parameter in enumerate(trained):
        parameter.grad = torch.full_like(parameter, 1.0 + number)
    optimizer.step()
    torch.save({key: state[key] for key in order}, folder / "model100000.pt")
    torch.save(optimizer.state_dict(), folder / "opt100000.pt")
    return folder / "model100000.pt", folder / "opt100000.pt"


@pytest.mark.parametrize("unet_only", [True, False])
def test_values_belong_to_the_parameters_of_the_public_order(
    tmp_path: Path, network: DiffusionRigEmo, unet_only: bool
) -> None:
    model, optimizer = official_files(tmp_path, network, unet_only=unet_only)
    moments = moments_of_stage_1(optimizer, model, network)
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    assert moments.keys() == gradients.keys()
    for name, values in moments.items():
        assert torch.allclose(values["exp_avg"], 0.1 * gradients[name])
        assert float(values["step"]) == 1


def test_only_the_state_of_trained_parameters_is_numbered(tmp_path: Path, network: DiffusionRigEmo) -> None:
    model, optimizer = official_files(tmp_path, network, unet_only=False)
    moments = moments_of_stage_1(optimizer, model, network)
    network.encoder.requires_grad_(False)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    tensors = numbered_tensors(moments, network, trained)
    assert len(tensors) == 3 * len(trained)
    name, parameter = next((n, p) for n, p in network.named_parameters() if p is trained[4])
    assert torch.equal(tensors["4.exp_avg"], moments[name]["exp_avg"])
    assert parameter.requires_grad


def test_a_state_of_another_network_is_refused(tmp_path: Path, network: DiffusionRigEmo) -> None:
    model, optimizer = official_files(tmp_path, network, unet_only=False)
    with pytest.raises(InputError, match=r"The optimizer state .* does not exist"):
        moments_of_stage_1(tmp_path / "opt1.pt", model, network)
    with pytest.raises(WeightsError, match="holds no optimizer state"):
        moments_of_stage_1(model, model, network)
    with pytest.raises(InputError, match="holds no checkpoint"):
        moments_of_stage_1(tmp_path, model, network)
    wide = DiffusionRigEmo(TINY.model_copy(update={"channels": 32}))
    with pytest.raises(WeightsError, match="does not fit"):
        moments_of_stage_1(optimizer, model, wide)
    deep = DiffusionRigEmo(TINY.model_copy(update={"blocks": 2}))
    with pytest.raises(WeightsError, match=r"the state of \d+ parameters, the network has"):
        moments_of_stage_1(optimizer, official_files(tmp_path, deep, unet_only=False)[0], network)
