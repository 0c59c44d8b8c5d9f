"""Circumplex plots: single images, and the mean of every expression."""

from __future__ import annotations

import pandas as pd
import pytest

from facebench.evaluation.record import Run
from facebench.report.pages.texts import texts
from facebench.report.plots.affect import MAX_ARROWS, circumplex_plots
from tests.helpers.transfer_runs import EXPRESSION, make_transfer_run

TEXT = texts("en")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_transfer_run(tmp_path_factory.mktemp("transfer"), "ours")


def test_the_circumplex_shows_single_images_and_the_mean_of_every_expression(run: Run) -> None:
    single, means = circumplex_plots([run], TEXT, "b0")
    assert single.marks == means.marks == ("source", "target")
    assert means.numbered == tuple(sorted([EXPRESSION, "sad"]))
    assert "script" not in str(means.picture)
    assert EXPRESSION not in str(means.picture)
    assert "Random sample" not in single.note
    assert run.per_image is not None
    many = [
        run.per_image.assign(image=f"{copy}/" + run.per_image["image"], source=None, target=None)
        for copy in range(6)
    ]
    bigger = run.model_copy().with_per_image(pd.concat(many, ignore_index=True))
    dots = circumplex_plots([bigger], TEXT, "b0")[0]
    assert dots.marks == ()
    assert f"Random sample of {MAX_ARROWS} of 144 images" in dots.note


def test_a_suite_without_affect_networks_has_no_circumplex(run: Run) -> None:
    assert run.per_image is not None
    bare = run.model_copy().with_per_image(run.per_image.drop(columns="arousal:maxvit-va"))
    assert circumplex_plots([bare], TEXT, "b0") == []
