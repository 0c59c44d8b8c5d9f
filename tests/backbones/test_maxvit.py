from __future__ import annotations

import numpy as np
import pytest
import torch

from facebench.backbones import build
from facebench.core.errors import WeightsError
from tests.helpers.golden_networks import Golden, agrees, answers

GOLDEN = Golden("cage_maxvit")
INDICES = GOLDEN.facts["index_buffers_not_filled"]
ROWS = 2


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return GOLDEN.state("parameters combined8")


def agrees_by_column(actual: np.ndarray, recorded: np.ndarray) -> None:
    for column in range(recorded.shape[1]):
        agrees(actual[:, column], recorded[:, column], rows=ROWS)


def test_the_combined_model_equals_the_authors_evaluation_code(state: dict[str, torch.Tensor]) -> None:
    actual = answers(build("maxvit-combined", state), GOLDEN.images(ROWS))
    assert actual["expression"].shape == (ROWS, 8)
    together = np.column_stack([actual["expression"], actual["valence"], actual["arousal"]])
    agrees_by_column(together, GOLDEN["combined8"])


def test_the_affect_model_equals_the_authors_evaluation_code() -> None:
    backbone = build("maxvit-va", GOLDEN.state("parameters va"))
    actual = answers(backbone, GOLDEN.images(ROWS))
    assert set(actual) == set(backbone.arrays) == {"valence", "arousal"}
    agrees_by_column(np.column_stack([actual["valence"], actual["arousal"]]), GOLDEN["va"])


def test_the_input_is_antialiased_rgb_with_imagenet_statistics(state: dict[str, torch.Tensor]) -> None:
    x = build("maxvit-combined", state).preprocess(GOLDEN.images(1)[0])
    assert x.shape == (3, 224, 224)
    np.testing.assert_allclose(x[:, ::7, ::7], GOLDEN["input.first"][0], atol=1e-5)


def test_position_tables_are_optional_but_must_be_right(
    state: dict[str, torch.Tensor],
) -> None:
    network = build("maxvit-combined", state).network
    assert network is not None
    tables = {key: value for key, value in network.state_dict().items() if key in INDICES}
    assert len(tables) == len(INDICES)
    build("maxvit-combined", state | tables)
    key = min(tables)
    with pytest.raises(WeightsError, match="position table"):
        build("maxvit-combined", state | {key: tables[key] + 1})


def test_the_heads_are_not_exchangeable(state: dict[str, torch.Tensor]) -> None:
    with pytest.raises(WeightsError, match=r"lack 'classifier\.6\.weight'"):
        build("maxvit-va", state)
    seven = state | {"classifier.5.weight": torch.zeros(9, 512)}
    with pytest.raises(WeightsError, match=r"'classifier\.5\.weight' has shape \(9, 512\)"):
        build("maxvit-combined", seven)
