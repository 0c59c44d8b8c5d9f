from __future__ import annotations

import numpy as np
import pytest
import torch

from facebench.backbones import Backbone, build
from facebench.backbones.lpips import LpipsAlex
from facebench.core.errors import WeightsError
from tests.helpers.golden_networks import State, fill, read

PAIRS = [("a/id000_happy.png", "a/id000_neutral.png"), ("a/id001_angry.png", "b/id020_angry.png")]
# lpips 0.1.4, LPIPS(net="alex"), filled as below, on the same inputs.
LPIPS_PACKAGE = [0.07109666615724564, 0.22485648095607758]
SLICE_OF_LAYER = {0: 1, 3: 2, 6: 3, 8: 4, 10: 5}


@pytest.fixture(scope="module")
def state() -> State:
    """Filled weights; channel weights are positive like trained ones."""
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in LpipsAlex().state_dict().items()}
    return {name: x.abs() if name.startswith("lin") else x for name, x in fill(shapes, 0).items()}


@pytest.fixture(scope="module")
def lpips(state: State) -> Backbone:
    return build("lpips", state)


def pairs(backbone: Backbone, names: list[tuple[str, str]]) -> torch.Tensor:
    return torch.stack([torch.stack([backbone.preprocess(read(name)) for name in pair]) for pair in names])


def test_the_lpips_package_gives_the_same_distances(lpips: Backbone) -> None:
    actual = lpips.embed(pairs(lpips, PAIRS))["distance"]
    np.testing.assert_allclose(actual, LPIPS_PACKAGE, rtol=1e-5)


def test_the_distance_is_zero_for_equal_images_and_symmetric(lpips: Backbone) -> None:
    here, there = PAIRS[0]
    same, forth, back = lpips.embed(pairs(lpips, [(here, here), (here, there), (there, here)]))["distance"]
    assert same == 0
    assert forth == pytest.approx(back, rel=1e-6)


def test_images_of_another_size_are_resized(lpips: Backbone) -> None:
    assert lpips.preprocess(np.full((60, 100, 3), 255, np.uint8)).shape == (3, 256, 256)
    assert lpips.preprocess(np.full((60, 100, 3), 255, np.uint8)).unique().tolist() == [1]


def test_names_of_the_lpips_package_are_accepted(state: State, lpips: Backbone) -> None:
    theirs = {"scaling_layer.shift": torch.zeros(1, 3, 1, 1), "scaling_layer.scale": torch.ones(1, 3, 1, 1)}
    for name, value in state.items():
        if name.startswith("lin"):
            theirs |= {name: value, f"lins.{name[3:]}": value}
        else:
            layer = int(name.split(".")[1])
            theirs[name.replace("features.", f"net.slice{SLICE_OF_LAYER[layer]}.")] = value
    batch = pairs(lpips, PAIRS[:1])
    np.testing.assert_array_equal(
        build("lpips", theirs).embed(batch)["distance"], lpips.embed(batch)["distance"]
    )


def test_weights_of_another_network_are_refused_with_the_first_wrong_key(state: State) -> None:
    with pytest.raises(WeightsError, match=r"lack 'lin4\.model\.1\.weight'"):
        build("lpips", {name: value for name, value in state.items() if not name.startswith("lin4")})
    with pytest.raises(WeightsError, match=r"'lin1\.model\.1\.weight' has shape \(1, 128, 1, 1\)"):
        build("lpips", state | {"lin1.model.1.weight": torch.zeros(1, 128, 1, 1)})
    with pytest.raises(WeightsError, match=r"contain 'lin5\.model\.1\.weight'"):
        build("lpips", state | {"lin5.model.1.weight": torch.zeros(1, 512, 1, 1)})
