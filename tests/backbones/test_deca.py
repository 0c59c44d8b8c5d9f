from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from facebench.backbones import build
from facebench.backbones.deca import CODES
from facebench.core.errors import InputError, WeightsError
from tests.helpers.golden_networks import Golden

GOLDEN = Golden("deca_encoder")
ATOL = {name: entry["atol"] for name, entry in GOLDEN.facts["tolerance"].items()}


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return GOLDEN.state()


def test_the_codes_equal_the_authors_code(state: dict[str, torch.Tensor]) -> None:
    backbone = build("deca", state)
    x = torch.from_numpy(GOLDEN["x"])
    actual = backbone.embed(x)
    assert tuple(actual) == backbone.arrays == tuple(CODES)
    for name, codes in actual.items():
        assert codes.shape == GOLDEN[name].shape
        np.testing.assert_allclose(codes, GOLDEN[name], rtol=0, atol=ATOL[name])
    assert backbone.network is not None
    with torch.inference_mode():
        features = backbone.network.get_submodule("encoder")(x)
    np.testing.assert_allclose(features, GOLDEN["features"], rtol=0, atol=ATOL["features"])


def test_a_crop_is_only_scaled_to_zero_and_one(state: dict[str, torch.Tensor]) -> None:
    backbone = build("deca", state)
    crop = np.zeros((224, 224, 3), np.uint8)
    crop[..., 0], crop[..., 2] = 255, 51
    np.testing.assert_allclose(backbone.preprocess(crop)[:, 0, 0], [1, 0, 0.2])
    with pytest.raises(InputError, match="224 x 224"):
        backbone.preprocess(np.zeros((256, 256, 3), np.uint8))


def test_the_encoder_is_read_from_the_official_file(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    file = tmp_path / "deca_model.tar"
    torch.save({"E_flame": state, "E_detail": {"encoder.conv1.weight": torch.zeros(1)}, "opt": {}}, file)
    network = build("deca", file).network
    assert network is not None
    torch.testing.assert_close(network.state_dict(), state)


def test_a_wrong_checkpoint_is_refused_with_its_first_wrong_key(state: dict[str, torch.Tensor]) -> None:
    with pytest.raises(WeightsError, match=r"deca: the weights lack 'encoder\.conv1\.weight'"):
        build("deca", {key.removeprefix("encoder."): value for key, value in state.items()})
    with pytest.raises(WeightsError, match=r"contain 'encoder\.fc\.weight'"):
        build("deca", state | {"encoder.fc.weight": torch.zeros(1000, 2048)})
