from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import biometric_capacity
from facebench.metrics.arrays import unit_rows
from facebench.metrics.biometric_capacity import QUANTILE, _log_cap, smallest_cosines, within_half_angle
from tests.helpers.metric_inputs import NewGolden, few, gaussian

GOLDEN = NewGolden()
CASES = ["main", "n_below_d", "n_below_d_unequal"]
THRESHOLDS = {"arcface": (1.575, 1.713, 1.844), "adaface": (1.610, 1.710, 1.847)}
"""Squared distances of LFW at a false accept rate of 0.1, 1 and 10 %; the cosine is 1 - t / 2."""
RATES = ("0.1", "1", "10")


def cosines(network: str) -> list[float]:
    return [1 - distance / 2 for distance in THRESHOLDS[network]]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("network", THRESHOLDS)
@pytest.mark.parametrize("rate", range(3))
@pytest.mark.parametrize(("released", "key"), [(True, "capacity"), (False, "own_geometric_capacity")])
def test_golden(case: str, network: str, rate: int, released: bool, key: str) -> None:
    within, *_ = cosines(network)
    value = biometric_capacity(
        GOLDEN.sides(case)[0], cosines(network)[rate], within=within, released=released
    )
    first = f"{key}_{network}_lfw_capacity" if released else f"{key}_{network}_lfw"
    assert value == pytest.approx(GOLDEN.case(case)[f"{first}_far_{RATES[rate]}%_at_threshold"], rel=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_golden_angles(case: str) -> None:
    cosine = np.quantile(smallest_cosines(unit_rows(GOLDEN.sides(case)[0], "rows")), QUANTILE)
    expected = GOLDEN.case(case)
    quantile = expected["capacity_arcface_lfw_quantile_0.05_of_row_minimum_cosine"]
    assert cosine == pytest.approx(quantile, rel=1e-9)
    angle = expected["capacity_arcface_lfw_inter_class_half_angle_rad"]
    assert np.arccos(cosine) / 2 == pytest.approx(angle, rel=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_golden_conditional(case: str) -> None:
    rows = GOLDEN.sides(case)[0]
    people = np.arange(len(rows)) // 5
    angle, *expected = GOLDEN.case(case)[
        "capacity_conditional_arcface_lfw_ids_rows_of_5_intra_and_far_0.1_1_10_percent"
    ]
    assert within_half_angle(unit_rows(rows, "rows"), people) == pytest.approx(angle, rel=1e-9)
    values = [
        biometric_capacity(rows, cosine, identities=people, released=True) for cosine in cosines("arcface")
    ]
    assert values == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("width", [2, 3, 16])
@pytest.mark.parametrize("degrees", [10, 45, 90, 135, 180])
def test_the_cap_has_the_share_of_random_directions(width: int, degrees: float) -> None:
    directions = np.random.default_rng(0).standard_normal((200_000, width))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    angle = np.deg2rad(degrees)
    share = (directions[:, 0] >= np.cos(angle) - 1e-12).mean()
    assert np.exp(_log_cap(angle, width, released=False)) / 2 == pytest.approx(share, abs=4e-3)


@pytest.mark.parametrize("degrees", [14, 15, 16])
def test_the_logarithm_of_a_tiny_cap_is_that_of_the_series(degrees: float) -> None:
    angles = np.deg2rad([degrees, degrees + 1e-4])
    slopes = [
        np.diff([_log_cap(angle, width, released=False) for angle in angles])[0] / 1e-4
        for width in (400, 700)
    ]
    expected = [(width - 2) / np.tan(angles[0]) * np.pi / 180 for width in (400, 700)]
    assert slopes == pytest.approx(expected, rel=0.01)


@few
@given(st.integers(2, 40), st.integers(2, 8), st.floats(-0.9, 0.9), st.integers(0, 1000))
def test_it_is_at_least_one_and_ignores_length_and_order(
    n: int, width: int, threshold: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, width))
    value = biometric_capacity(rows, threshold)
    assert value >= 1.0
    moved = rng.permutation(rows * rng.uniform(0.5, 2.0, (n, 1)))
    assert biometric_capacity(moved, threshold) == pytest.approx(value, rel=1e-6)


def test_more_varied_faces_have_more_capacity() -> None:
    faces = gaussian(0, 200, 32)
    together = faces + 20.0
    assert biometric_capacity(faces, 0.6) > biometric_capacity(together, 0.6)


def test_small_angles_do_not_underflow() -> None:
    faces = gaussian(0, 100, 512) + 3.0
    values = [biometric_capacity(faces, cosine) for cosine in (0.9, 0.97, 0.975)]
    assert np.isfinite(values).all()
    assert values == sorted(values)
    assert biometric_capacity(faces, 1 - 1e-12) == np.inf


def test_bad_input_is_refused() -> None:
    faces = gaussian(0, 10, 4)
    with pytest.raises(InputError, match="threshold must be a cosine"):
        biometric_capacity(faces, 1.575)
    with pytest.raises(InputError, match="within must be a cosine"):
        biometric_capacity(faces, 0.5, within=-1.0)
    with pytest.raises(InputError, match="at least two faces"):
        biometric_capacity(faces, 0.5, identities=range(10))
    with pytest.raises(InputError, match="3 identities for 10 rows"):
        biometric_capacity(faces, 0.5, identities="abc")
    with pytest.raises(InputError, match="at least 2"):
        biometric_capacity(faces[:1], 0.5)
    with pytest.raises(InputError, match="1 column"):
        biometric_capacity(faces[:, :1], 0.5)


def people(count: int, noise: float) -> np.ndarray:
    """Five images of each of some people, within a cone."""
    centres = gaussian(0, 40, 32)[:count] + 1.0
    return np.repeat(centres, 5, axis=0) + noise * gaussian(1, 5 * count, 32)


def test_more_distinct_people_have_more_capacity() -> None:
    values = [biometric_capacity(people(count, 0.05), 0.8) for count in (2, 5, 10, 40)]
    assert values == sorted(values)
    assert values[0] < values[-1] / 2


def test_noise_of_embeddings_lowers_the_capacity_if_the_spread_of_a_person_is_measured() -> None:
    values = [
        biometric_capacity(people(40, noise), 0.8, identities=np.arange(200) // 5)
        for noise in (0.05, 0.2, 0.4)
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] > 2 * values[-1]


def test_noise_of_embeddings_raises_the_capacity_if_the_spread_of_a_person_is_fixed() -> None:
    values = [biometric_capacity(people(40, noise), 0.8) for noise in (0.05, 0.2, 0.4)]
    assert values == sorted(values)
