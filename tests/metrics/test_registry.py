from __future__ import annotations

import functools
import re
from pathlib import Path

import numpy as np
import pytest

from facebench import metrics
from facebench.core.errors import InputError
from facebench.metrics import pair_scores, precision_recall
from facebench.metrics.interval import numbers
from facebench.metrics.registry import MetricFunction, entry_of, metric_function, metric_functions

ROOT = Path(__file__).parents[2]


def arguments(entry: MetricFunction) -> list[object]:
    """Arrays that the function accepts: one number per image if it takes no matrix."""
    rng = np.random.default_rng(0)
    flat = entry.name in ("mean_std", "paired_delta", "affect_agreement")
    generated, other = (rng.standard_normal((40,) if flat else (40, 5)) for _ in range(2))
    if entry.name == "retrieval_rates":
        generated = rng.random((40, 5))
    classes = entry.name in ("wanted_class", "macro_recall", "expression_confusion")
    partner = rng.integers(0, 5, 40) if classes else other
    if entry.name == "edit_trade_off":
        generated, partner = rng.integers(0, 2, (2, 40, 3))
    scores = pair_scores(rng.standard_normal((40, 5)), np.arange(40) % 10)
    return entry.order(
        generated=generated,
        reference=other,
        held_out=other + 0.1,
        partner=partner,
        reference_identities=[str(i % 20) for i in range(40)],
        genuine=scores.genuine,
        impostor=scores.impostor,
        score=rng.random(40),
        identity=rng.uniform(-1, 1, 40),
        threshold=np.full(40, 0.1),
    )


def parameters(entry: MetricFunction) -> dict[str, float]:
    """Thresholds of recognisers, which are parameters of cards."""
    thresholded = ("distinct_identities", "biometric_capacity", "share_verified")
    return {"threshold": 0.3} if entry.name in thresholded else {}


def call(entry: MetricFunction) -> dict[str, float]:
    """Numbers of the function."""
    return numbers(entry.function(*arguments(entry), **parameters(entry)))


@pytest.mark.parametrize("name", metric_functions())
def test_every_function_is_public_and_takes_the_declared_arguments(name: str) -> None:
    entry = metric_function(name)
    assert getattr(metrics, name) is entry.function
    values = call(entry)
    assert entry.shares.keys() <= values.keys() | {"fmr100", "fmr1000", "tar_1e4"}
    assert entry.per_image.keys() <= values.keys()


@pytest.mark.parametrize("name", metric_functions())
def test_per_image_numbers_average_to_the_metric(name: str) -> None:
    entry = metric_function(name)
    values = call(entry)
    for field, per_image in entry.per_image.items():
        rows = per_image(*arguments(entry), **parameters(entry))
        assert rows.shape == (40,)
        assert rows.mean() == pytest.approx(values[field], rel=1e-12)


@pytest.mark.parametrize("name", metric_functions())
def test_shares_lie_between_zero_and_their_scale(name: str) -> None:
    entry = metric_function(name)
    values = call(entry)
    assert all(0.0 <= values[field] <= scale for field, scale in entry.shares.items() if field in values)


def test_every_card_names_a_registered_function() -> None:
    text = "\n".join(file.read_text() for file in (ROOT / "metrics").rglob("*.yaml"))
    named = set(re.findall(r"\bcompute: (\w+)", text))
    assert named
    assert named <= set(metric_functions())


def test_a_partial_function_has_the_entry_of_its_function() -> None:
    assert entry_of(functools.partial(precision_recall, k=5)) is metric_function("precision_recall")
    assert entry_of(np.mean) is None


def test_an_unknown_function_lists_close_matches() -> None:
    with pytest.raises(InputError, match="Did you mean frechet_distance"):
        metric_function("frechet_distanc")
