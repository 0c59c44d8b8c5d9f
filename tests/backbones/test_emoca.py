from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from facebench.backbones import build
from facebench.core.errors import WeightsError
from tests.helpers.golden_networks import Golden, fill

GOLDEN = Golden("emoca_encoder")
X = torch.from_numpy(GOLDEN["x"])


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return GOLDEN.state()


def equal(actual: np.ndarray, name: str) -> None:
    np.testing.assert_allclose(actual, GOLDEN[name], rtol=0, atol=GOLDEN.facts["tolerance"][name]["atol"])


def test_only_the_expression_comes_from_the_expression_encoder(state: dict[str, torch.Tensor]) -> None:
    actual = build("emoca", state).embed(X)
    for name, codes in actual.items():
        equal(codes, name)
    assert np.abs(actual["exp"] - GOLDEN["exp_of_deca"]).max() > 1


def test_an_encoder_with_three_more_outputs_replaces_the_jaw(state: dict[str, torch.Tensor]) -> None:
    last = {"E_expression.layers.2.weight": (53, 1024), "E_expression.layers.2.bias": (53,)}
    actual = build("emoca", state | fill(last, GOLDEN.facts["seed"])).embed(X)
    equal(actual["exp"], "jaw_exp")
    equal(actual["pose"], "jaw_pose")
    equal(actual["shape"], "shape")


def test_the_encoders_are_read_from_a_lightning_checkpoint(
    tmp_path: Path, state: dict[str, torch.Tensor]
) -> None:
    others = {"deca.E_detail.layers.0.weight": torch.zeros(2), "emonet_loss.weight": torch.zeros(2)}
    content = {f"deca.{key}": value for key, value in state.items()} | others
    file = tmp_path / "last.ckpt"
    torch.save({"epoch": 3, "state_dict": content}, file)
    backbone = build("emoca", file)
    assert backbone.network is not None
    assert set(backbone.network.state_dict()) == set(state)
    key = "E_expression.layers.2.bias"
    torch.testing.assert_close(backbone.network.state_dict()[key], state[key])


def test_a_deca_checkpoint_is_refused(state: dict[str, torch.Tensor]) -> None:
    only_deca = {key: value for key, value in state.items() if key.startswith("E_flame.")}
    with pytest.raises(WeightsError, match=r"emoca: the weights lack 'E_expression\.encoder\.conv1\.weight'"):
        build("emoca", only_deca)
