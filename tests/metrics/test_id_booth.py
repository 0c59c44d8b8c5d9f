from __future__ import annotations

import numpy as np
import pytest

from facebench.core.errors import InputError
from facebench.metrics import id_booth_pairs, nearest_fmr
from tests.helpers.metric_inputs import Golden

GOLDEN = Golden("verification")
CASES = list(GOLDEN.manifest["values"])


def similarities(case: str) -> tuple[np.ndarray, np.ndarray, int]:
    sign = -1 if case == "distances" else 1
    return sign * GOLDEN.arrays[f"{case}.genuine"], sign * GOLDEN.arrays[f"{case}.impostor"], sign


@pytest.mark.parametrize("case", CASES)
def test_golden_operating_points_nearest_to_a_target(case: str) -> None:
    genuine, impostor, sign = similarities(case)
    for key, target in (("fmr0", 0.0), ("fmr100", 0.01), ("fmr1000", 0.001), ("fmr20", 0.05), ("fmr10", 0.1)):
        point = nearest_fmr(genuine, impostor, target)
        assert point.fnmr == pytest.approx(GOLDEN.value(case, key), rel=1e-9, abs=1e-12)
        assert sign * point.threshold == pytest.approx(GOLDEN.value(case, f"{key}_th"), rel=1e-12)


def test_targets_are_fractions() -> None:
    with pytest.raises(InputError, match="fraction"):
        nearest_fmr([0.5], [0.1], 1.5)


def identities(sizes: np.ndarray) -> np.ndarray:
    return np.repeat([f"id{number:03d}" for number in range(len(sizes))], sizes)


def row_pairs(indices: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Golden (identity, image, identity, image) as rows of the stacked sets."""
    starts = np.cumsum(left) - left, np.cumsum(right) - right
    return np.stack(
        [starts[0][indices[:, 0]] + indices[:, 1], starts[1][indices[:, 2]] + indices[:, 3]], axis=1
    )


@pytest.mark.parametrize("case", ["among", "vs_real"])
def test_golden_pair_lists_and_scores(case: str) -> None:
    arrays = GOLDEN.arrays
    own = arrays["pairs.n_synthetic"]
    other = own if case == "among" else arrays["pairs.n_real"]
    chosen = id_booth_pairs(identities(own), None if case == "among" else identities(other))
    found = chosen.scores(
        arrays["pairs.embeddings.synthetic"], None if case == "among" else arrays["pairs.embeddings.real"]
    )
    for kind, pairs, scores in zip(
        ("genuine", "impostor"), (chosen.genuine, chosen.impostor), found, strict=True
    ):
        assert np.array_equal(pairs, row_pairs(arrays[f"pairs.{case}.{kind}"], own, other))
        assert np.allclose(scores, arrays[f"pairs.{case}.{kind}_scores"], rtol=0, atol=1e-12)


def test_pairs_match_identities_one_to_one() -> None:
    with pytest.raises(InputError, match="2 generated and 1 reference"):
        id_booth_pairs(["a", "b"], ["a"])
