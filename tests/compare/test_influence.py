"""Influences give the variances and covariances that repeated sampling gives."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from facebench.compare.difference import difference
from facebench.compare.influence import Component, Influence, Joint, influence
from facebench.evaluation.record import Run
from tests.helpers.quality_runs import with_quality
from tests.helpers.records import make_result, make_run

METRIC = "face_quality_sface"
DIFFERENCE = np.array([1.0, -1.0])


def people_run(name: str, values: np.ndarray, **columns: list[str]) -> Run:
    """A run of face quality with columns of labels."""
    run = with_quality(make_run(name, images=len(values)), values)
    assert run.per_image is not None
    return run.with_per_image(run.per_image.assign(**columns))


def labels(prefix: str, index: np.ndarray) -> list[str]:
    return [f"{prefix}{i}" for i in index]


def joint_of(*runs: Run) -> Joint:
    found = [influence(METRIC, run) for run in runs]
    return Joint.of([each for each in found if each is not None])


def test_the_error_of_a_mean_of_images_is_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.1, 50)
    error = joint_of(people_run("a", values)).error(np.array([1.0]))
    stored = values.astype(np.float32).astype(np.float64)
    assert error.standard == pytest.approx(stored.std(ddof=1) / 50**0.5)
    assert error.degrees_of_freedom == pytest.approx(49)


def test_images_of_a_person_count_once() -> None:
    rng = np.random.default_rng(1)
    people = np.repeat(np.arange(10), 8)
    effect = rng.normal(0, 0.1, 10)
    run = people_run("a", 0.5 + effect[people], identity=labels("p", people))
    error = joint_of(run).error(np.array([1.0]))
    assert error.standard == pytest.approx(effect.std(ddof=1) / 10**0.5, rel=1e-5)
    assert error.degrees_of_freedom == 9


def test_what_two_runs_share_cancels_in_the_difference() -> None:
    rng = np.random.default_rng(2)
    hardness, change = rng.normal(0.5, 0.2, 200), rng.normal(0.01, 0.02, 200)
    new, old = people_run("new", hardness + change), people_run("old", hardness)
    error = joint_of(new, old).error(DIFFERENCE)
    assert error.standard == pytest.approx(change.std(ddof=1) / 200**0.5, rel=1e-4)
    apart = people_run("new", hardness + change)
    assert apart.per_image is not None
    apart.per_image["image"] = [f"other-{name}" for name in apart.per_image["image"]]
    joint = joint_of(apart, old)
    assert joint.shared(0, 1) == 0
    assert joint.error(DIFFERENCE).standard > 10 * error.standard


def test_crossed_sources_and_targets_both_count() -> None:
    """The variance of a mean over 12 sources × 10 targets, over many samples."""
    rng = np.random.default_rng(3)
    source, target = (index.ravel() for index in np.indices((12, 10)))
    means, squares = [], []
    for _ in range(200):
        values = rng.normal(0, 0.3, 12)[source] + rng.normal(0, 0.2, 10)[target] + rng.normal(0, 0.1, 120)
        run = people_run("a", values, source=labels("s", source), target=labels("t", target))
        error = joint_of(run).error(np.array([1.0]))
        means.append(values.mean())
        squares.append(error.standard**2)
    assert error.degrees_of_freedom == 9
    assert np.mean(squares) == pytest.approx(0.3**2 / 12 + 0.2**2 / 10 + 0.1**2 / 120, rel=0.06)
    assert np.var(means) == pytest.approx(np.mean(squares), rel=0.35)  # three errors of 200 draws


def test_a_statistic_that_is_no_mean_is_computed_without_each_unit() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(0.5, 0.1, 400)
    run = people_run("a", values)
    std = float(values.astype(np.float32).astype(np.float64).std())
    run.metrics["face_quality_sface_std"] = make_result("face_quality_sface_std", std)
    found = influence("face_quality_sface_std", run)
    assert found is not None
    assert found.terms is None
    error = Joint.of([found]).error(np.array([1.0])).standard
    assert error == pytest.approx(0.1 / 800**0.5, rel=0.15)


def test_groups_of_a_shared_reference_cancel_in_a_distance() -> None:
    rng = np.random.default_rng(5)
    common = rng.normal(0, 1.0, 20)

    def run(name: str, generated: str, reference: str = "r") -> Run:
        made = make_run(name, fd_lite0=10.0)
        made.metrics["fd_lite0"] = make_result("fd_lite0", 10.0, low=5.0, high=15.0)
        values = 10 + common + rng.normal(0, 0.1, 20)
        rows = {"metric": "fd_lite0", "group": range(20), "value": values, "generated_units": generated}
        return made.with_leave_out(pd.DataFrame(rows | {"reference_units": reference}))

    paired = difference("fd_lite0", run("new", "a"), run("old", "b"))
    assert paired is not None
    assert paired.method == "paired over 20 groups of units"
    assert paired.high - paired.low < 5
    for other in (run("new", "a", "another"), make_run("new", fd_lite0=10.0)):
        unpaired = difference("fd_lite0", other, run("old", "b"))
        assert unpaired is not None
        assert unpaired.method == "independent intervals"


def test_degrees_of_freedom_follow_the_unit_that_dominates() -> None:
    def side(kind: str, spread: float, count: int) -> Component:
        values = np.linspace(-spread, spread, count)
        return Component(kind, pd.Series(values, index=[str(i) for i in range(count)]))

    few, many = side("reference", 1.0, 5), side("image", 0.001, 1000)
    joint = Joint.of([Influence((few, many), "images")])
    assert joint.error(np.array([1.0])).degrees_of_freedom == pytest.approx(4, abs=0.01)
