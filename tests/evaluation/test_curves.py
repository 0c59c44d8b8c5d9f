"""Data of the plots: equal to statistics of the scores and the features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facebench.evaluation.cards import find_card
from facebench.evaluation.curves import POINTS, feature_map, frechet_against_n, score_curve
from facebench.evaluation.role_features import RoleFeatures
from facebench.features.extraction import Extraction
from facebench.images.image_set import Item
from facebench.metrics import det_curve, frechet_distance, verification
from tests.helpers.tiny_networks import Tiny


def test_histograms_count_every_score_once() -> None:
    rng = np.random.default_rng(0)
    genuine, impostor = rng.uniform(-0.2, 1.0, 500), rng.uniform(-0.9, 0.5, 5000)
    curve = score_curve(det_curve(genuine, impostor), verification(genuine, impostor), "sface", "generated")
    edges = np.array(curve["edges"])
    assert curve["genuine"] == pytest.approx(np.histogram(genuine, edges)[0] / 500, abs=1e-6)
    assert curve["impostor"] == pytest.approx(np.histogram(impostor, edges)[0] / 5000, abs=1e-6)


def test_scores_rounded_beyond_one_stay_in_the_last_bin() -> None:
    genuine, impostor = np.array([1.0, 1.0 + 2e-16]), np.array([-1.0, 0.0])
    curve = score_curve(det_curve(genuine, impostor), verification(genuine, impostor), "sface", "generated")
    assert curve["genuine"][-1] == 1.0
    assert curve["impostor"][0] == 0.5


def test_the_error_curve_is_small_and_falls() -> None:
    rng = np.random.default_rng(1)
    genuine, impostor = rng.normal(0.6, 0.1, 3000), rng.normal(0.2, 0.1, 30000)
    curve = score_curve(det_curve(genuine, impostor), verification(genuine, impostor), "sface", "generated")
    assert len(curve["fmr"]) == len(curve["fnmr"]) <= POINTS + 4
    assert (np.diff(curve["fmr"]) <= 0).all()
    assert (np.diff(curve["fnmr"]) >= 0).all()


def test_distance_against_n_ends_at_the_value_itself() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((80, 4)), rng.standard_normal((90, 4))
    curve = frechet_against_n("fd_lite0", [x, y], frechet_distance(x, y), seed=0)
    assert curve is not None
    assert curve["sizes"] == [10, 20, 40, 80]
    assert curve["distances"][-1] == frechet_distance(x, y)
    assert curve["distances"][0] > curve["distances"][-1]
    assert frechet_against_n("fd_lite0", [x[:63], y], 1.0, seed=0) is None


def extraction(rows: np.ndarray) -> Extraction:
    """Extracted features; a row of NaN has no result."""
    n = len(rows)
    return Extraction(
        items=tuple(Item(Path(f"{i}.png"), f"{i}.png", {}) for i in range(n)),
        rejected=(),
        sha256=["0" * 64] * n,
        sizes=np.full((n, 2), 64),
        faces=[None] * n,
        arrays={"lite0": {"features": rows.astype(np.float32)}},
        valid={"lite0": np.isfinite(rows).all(axis=1)},
        backbones={"lite0": Tiny("lite0")},
        timings={},
        digest="d",
    )


def features(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    """Uncorrelated columns with variances of about 100, 25 and nearly 0."""
    rows = np.random.default_rng(seed).standard_normal((n, 6))
    directions, _ = np.linalg.qr(rows - rows.mean(axis=0))
    return np.sqrt(n - 1) * directions * [10, 5, 0.1, 0.1, 0.1, 0.1] + shift


def test_the_axes_of_the_map_are_the_principal_components_of_the_reference() -> None:
    rows = features(200, 0)
    roles = RoleFeatures({"generated": extraction(features(50, 1)), "reference": extraction(rows)}, {})
    placed = feature_map([find_card("fd_lite0")], roles, seed=0)
    assert placed is not None
    assert placed.fitted_on == "reference"
    assert placed.explained == pytest.approx((0.8, 0.2), abs=0.001)
    assert np.abs(placed.points["reference"]) == pytest.approx(np.abs(rows[:, :2]), abs=1e-4)


def test_runs_with_one_reference_share_their_axes() -> None:
    reference, card = extraction(features(100, 0)), [find_card("fd_lite0")]
    one = feature_map(
        card, RoleFeatures({"generated": extraction(features(50, 1)), "reference": reference}, {}), 0
    )
    two = feature_map(
        card, RoleFeatures({"generated": extraction(features(50, 2, 3.0)), "reference": reference}, {}), 0
    )
    assert one is not None
    assert two is not None
    assert (one.points["reference"] == two.points["reference"]).all()
    assert one.describe() == two.describe()


def test_images_without_a_result_have_no_coordinates_and_too_few_images_no_map() -> None:
    rows = features(20, 0)
    rows[3] = np.nan
    placed = feature_map([find_card("fd_lite0")], RoleFeatures({"generated": extraction(rows)}, {}), 0)
    assert placed is not None
    assert placed.fitted_on == "generated"
    assert np.isnan(placed.points["generated"]).all(axis=1).nonzero()[0].tolist() == [3]
    few = RoleFeatures({"generated": extraction(features(20, 0)[:2])}, {})
    assert feature_map([find_card("fd_lite0")], few, 0) is None


def test_a_role_without_any_result_has_no_coordinates_on_the_map() -> None:
    # A set without any detected face: the width of a row is unknown.
    blank = extraction(np.full((4, 1), np.nan, np.float32))
    blank.arrays = {
        name: {key: rows[:, 0] for key, rows in held.items()} for name, held in blank.arrays.items()
    }
    roles = RoleFeatures({"generated": extraction(features(20, 1)), "reconstruction": blank}, {})
    placed = feature_map([find_card("fd_lite0")], roles, 0)
    assert placed is not None
    assert np.isfinite(placed.points["generated"]).all()
    assert placed.points["reconstruction"].shape == (4, 2)
    assert np.isnan(placed.points["reconstruction"]).all()
