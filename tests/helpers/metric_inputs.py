"""Shared inputs of the tests of metrics: goldens, and strategies for feature matrices and scores."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.helpers.paths import GOLDENS_FOLDER

GOLDENS = GOLDENS_FOLDER

few = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
"""Enough examples to find what breaks, few enough for two cores."""


class Golden:
    """One golden: its manifest and its arrays."""

    def __init__(self, name: str) -> None:
        self.manifest: dict[str, Any] = json.loads((GOLDENS / f"{name}.json").read_text())
        with np.load(GOLDENS / f"{name}.npz") as arrays:
            self.arrays = {key: arrays[key] for key in arrays.files}

    def sides(self, case: str) -> tuple[np.ndarray, np.ndarray]:
        """Generated and reference matrix of a case."""
        return self.arrays[f"{case}.generated"], self.arrays[f"{case}.real"]

    def value(self, case: str, key: str) -> Any:
        return self.manifest["values"][case][key]


def gaussian(seed: int, n: int, d: int, shift: float = 0.0) -> np.ndarray:
    """A feature matrix with correlated columns."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) @ (np.eye(d) + 0.3 * rng.standard_normal((d, d))) + shift


@st.composite
def matrices(draw: st.DrawFn, smallest: int = 2, largest: int = 30, width: int = 6) -> np.ndarray:
    """A feature matrix: smooth, on a lattice where distances tie, or with repeated rows."""
    n, d = draw(st.integers(smallest, largest)), draw(st.integers(1, width))
    return draw(rows(n, d))


@st.composite
def rows(draw: st.DrawFn, n: int, d: int) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["smooth", "lattice", "repeated", "far"]))
    if kind == "lattice":
        return rng.integers(-2, 3, (n, d)).astype(np.float32)
    features = rng.standard_normal((n, d))
    if kind == "repeated":
        features = features[rng.integers(0, max(1, n // 2), n)]
    return features + 1000.0 if kind == "far" else features


@st.composite
def two_sets(
    draw: st.DrawFn, smallest: int = 2, largest: int = 30, width: int = 6
) -> tuple[np.ndarray, np.ndarray]:
    """A generated and a reference matrix of the same width and of unequal sizes."""
    d = draw(st.integers(1, width))
    return (
        draw(rows(draw(st.integers(smallest, largest)), d)),
        draw(rows(draw(st.integers(smallest, largest)), d)),
    )


@st.composite
def scores(draw: st.DrawFn, smallest: int = 1, largest: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Genuine and impostor scores: smooth, or with many ties."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = draw(st.integers(smallest, largest)), draw(st.integers(smallest, largest))
    genuine = rng.normal(draw(st.sampled_from([0.0, 0.5, 2.0])), 0.5, sizes[0])
    impostor = rng.normal(0.0, 0.5, sizes[1])
    decimals = draw(st.sampled_from([0, 1, 12]))
    return np.round(genuine, decimals), np.round(impostor, decimals)


class NewGolden:
    """Recorded outputs of the official code of newer metrics, on the arrays of earlier goldens."""

    def __init__(self) -> None:
        self.cases: dict[str, dict[str, Any]] = json.loads((GOLDENS / "new_metrics.json").read_text())[
            "cases"
        ]
        with np.load(GOLDENS / "distribution_metrics.npz") as arrays:
            self.arrays = {key: arrays[key] for key in arrays.files}

    def case(self, name: str) -> dict[str, Any]:
        return self.cases[name]

    def sides(self, case: str) -> tuple[np.ndarray, np.ndarray]:
        """Generated and reference matrix of a case."""
        return self.arrays[f"{case}.generated"], self.arrays[f"{case}.real"]
