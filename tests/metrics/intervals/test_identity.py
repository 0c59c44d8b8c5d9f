from __future__ import annotations

import numpy as np
import pytest

from facebench.core.errors import InputError
from facebench.metrics import (
    blocked_verification,
    mean_std,
    pair_scores,
    verification,
)
from facebench.metrics.intervals import (
    bootstrap_identities,
    bootstrap_images,
    jackknife_identities,
)
from facebench.metrics.intervals import identity as identity_intervals
from facebench.metrics.verification import summarise
from tests.metrics.intervals.coverage import covered


def people(seed: int, count: int, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of identities that differ in how easily they are recognised."""
    rng = np.random.default_rng(seed)
    names = np.repeat(np.arange(count), images)
    blur = rng.uniform(0.5, 2.0, count)[names, None]
    return rng.standard_normal((count, 12))[names] + blur * rng.standard_normal((len(names), 12)), names


def test_bootstrap_over_identities_holds_the_expected_statistics() -> None:
    def statistics(seed: int) -> tuple[float, float]:
        scores = pair_scores(*people(seed, 25, 4))
        result = verification(scores.genuine, scores.impostor)
        return result.eer, result.genuine_mean

    eer, mean = np.mean([statistics(5000 + seed) for seed in range(150)], axis=0)
    intervals = [
        bootstrap_identities(pair_scores(*people(s, 25, 4)), resamples=100, seed=s) for s in range(60)
    ]
    assert 0.83 <= covered([i["eer"] for i in intervals], float(eer)) <= 1.0
    assert 0.83 <= covered([i["genuine_mean"] for i in intervals], float(mean)) <= 1.0


def test_resampling_pairs_instead_would_be_far_too_sure() -> None:
    scores = pair_scores(*people(0, 15, 12))
    by_identity = bootstrap_identities(scores, resamples=200)["genuine_mean"]
    by_pair = bootstrap_images(mean_std, scores.genuine, resamples=200)["mean"]
    assert by_identity.high - by_identity.low > 2 * (by_pair.high - by_pair.low)


def test_an_identity_drawn_once_each_gives_the_plain_statistics() -> None:
    scores = pair_scores(*people(0, 12, 5))
    table = identity_intervals._Table.of(scores)
    plain = verification(scores.genuine, scores.impostor)
    weighted = table.statistics(np.ones(12), summarise)
    assert weighted is not None
    for name, value in weighted.items():
        assert value == pytest.approx(getattr(plain, name), rel=1e-9, abs=1e-12), name


def test_streamed_identities_give_nearly_the_bootstrap_interval() -> None:
    x, names = people(3, 60, 6)
    streamed = jackknife_identities(x, names, groups=30)
    drawn = bootstrap_identities(pair_scores(x, names), resamples=300)
    value = blocked_verification(x, names).statistics
    for name in ("eer", "genuine_mean", "impostor_std", "d_prime"):
        assert streamed[name].low < getattr(value, name) < streamed[name].high
        widths = [i[name].high - i[name].low for i in (streamed, drawn)]
        assert 0.6 < widths[0] / widths[1] < 1.7, name


def test_leaving_identities_out_by_subtraction_is_leaving_them_out() -> None:
    x, names = people(4, 12, 5)
    y, others = people(5, 12, 3)
    for sets in ((x, names), (x, names, y, others)):
        reference = sets[2:] or (None, None)
        gallery, groups = identity_intervals._dealt(*sets[:2], *reference, 4, 0)
        histogram = identity_intervals._Histogram(groups)
        for a, b, part in identity_intervals._parts(gallery, 16):
            histogram.add(a, b, part.split()[1])
        dealt = {name.split("/")[1]: int(name.split("/")[0]) for name in gallery.names}
        for group in range(groups):
            kept = [np.array([dealt[str(n)] != group for n in side]) for side in sets[1::2]]
            halves = [sets[start : start + 2] for start in range(0, len(sets), 2)]
            rest = pair_scores(*(part[k] for k, half in zip(kept, halves, strict=True) for part in half))
            assert (histogram.total - histogram.touched[group]).sum() == len(rest.impostor)


def test_the_seed_changes_the_interval() -> None:
    scores = pair_scores(*people(0, 12, 4))
    first, second = (bootstrap_identities(scores, seed=seed, resamples=20) for seed in (1, 2))
    assert first == bootstrap_identities(scores, seed=1, resamples=20)
    assert first != second


def test_few_identities_are_noted() -> None:
    assert "4 identities" in bootstrap_identities(pair_scores(*people(0, 4, 4)), resamples=20)["eer"].note


def test_too_few_identities_are_refused() -> None:
    with pytest.raises(InputError, match="too few"):
        jackknife_identities(np.eye(3), ["a", "b", "c"])
