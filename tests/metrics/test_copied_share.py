from __future__ import annotations

import numpy as np
import pytest

from facebench.core.errors import InputError
from facebench.metrics import copied_share
from tests.helpers.metric_inputs import gaussian


def test_honest_samples_have_about_the_stated_rate_and_copies_are_counted() -> None:
    training, honest = np.split(gaussian(0, 3000, 12), [2000])
    assert copied_share(honest, training, rate=0.05).share == pytest.approx(0.05, abs=0.03)
    planted = np.concatenate([honest[:700], training[:300] + 0.02])
    assert copied_share(planted, training).share == pytest.approx(0.3, abs=0.03)


def test_the_ratio_is_that_of_the_definition() -> None:
    training, generated = gaussian(2, 40, 3), gaussian(3, 15, 3)
    apart = np.linalg.norm(training[:, None] - training[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    to_training = np.linalg.norm(generated[:, None] - training[None], axis=2)
    nearest = to_training.argmin(axis=1)
    ratios = to_training.min(axis=1) / apart[nearest].min(axis=1)
    own = []
    for row in range(40):
        other = apart[row].argmin()
        own.append(apart[row].min() / np.delete(apart[other], row).min())
    answer = copied_share(generated, training, rate=0.2)
    assert answer.ratio == pytest.approx(np.median(ratios))
    assert answer.threshold == pytest.approx(np.quantile(own, 0.2, method="lower"))
    assert answer.share == (ratios <= answer.threshold).mean()
    assert "40 training samples" not in copied_share(generated, training, rate=0.2).notes.get("share", "")
    assert "40 training samples" in copied_share(generated, training, rate=0.1).notes["share"]


def test_exact_copies_count_even_beside_repeated_training_rows() -> None:
    training = np.repeat(gaussian(4, 50, 3), 2, axis=0)
    assert copied_share(training[:5], training).share == 1.0


@pytest.mark.parametrize("rate", [0.0, 1.0, -1.0])
def test_a_rate_outside_the_unit_interval_is_refused(rate: float) -> None:
    with pytest.raises(InputError, match="rate"):
        copied_share(gaussian(0, 5, 2), gaussian(1, 9, 2), rate=rate)


def test_two_training_rows_are_too_few() -> None:
    with pytest.raises(InputError, match="rows"):
        copied_share(gaussian(0, 5, 2), gaussian(1, 2, 2))
