"""Edits at several strengths: verified people, the trade-off with its curve, and both in the record."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from facebench.evaluation.cards import find_card
from facebench.evaluation.edit_curve import edit_curve_tables
from facebench.evaluation.estimate import Estimates, estimate_metrics
from facebench.evaluation.record_reading import load_run
from facebench.evaluation.role_features import RoleFeatures
from facebench.images.listing import Item
from tests.helpers.records import make_run

STRENGTHS = (0.0, 0.5, 1.0)
METRICS = (
    "edit_trade_off_faceapi",
    "same_person_fmr1000_sface",
    "same_person_fmr100_sface",
    "same_person_threshold_sface",
)


def measured(people: int, *, photographs: int = 1) -> Estimates:
    """Edits towards happy: the score rises with the strength, and the identity falls, differently for each face."""
    rng = np.random.default_rng(3)
    n = people * photographs
    person = np.arange(n) // photographs
    anchors = rng.standard_normal((people, 64))[person] + 0.05 * rng.standard_normal((n, 64))
    resistance, fragility = rng.uniform(0.3, 1.2, n), rng.uniform(0.0, 3.0, n)
    items, embeddings, logits = [], [], []
    for strength in STRENGTHS:
        for row in range(n):
            columns = {"identity": f"p{person[row]}", "attribute": "happy", "strength": f"{strength:g}"}
            items.append(Item(Path("x.png"), f"{strength}-{row}.png", columns))
            embeddings.append(anchors[row] + strength * fragility[row] * rng.standard_normal(64))
            logits.append([resistance[row], strength])
    extractions = {
        "generated": extraction(items, np.array(embeddings), np.array(logits)),
        "source": extraction(
            [Item(Path("s.png"), f"{row}.png") for row in range(n)], anchors, np.zeros((n, 2))
        ),
    }
    features = RoleFeatures(extractions, {"source": np.tile(np.arange(n), len(STRENGTHS))})
    return estimate_metrics([find_card(name) for name in METRICS], features, seed=0, progress=lambda *_: None)


def extraction(items: list[Item], embeddings: np.ndarray, logits: np.ndarray) -> SimpleNamespace:
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    return SimpleNamespace(
        items=tuple(items),
        arrays={"sface": {"embedding": unit}, "faceapi-expression": {"expression": logits}},
        valid=dict.fromkeys(("sface", "faceapi-expression"), np.ones(len(items), np.bool_)),
        backbones={"faceapi-expression": SimpleNamespace(expressions=("neutral", "happy"))},
    )


@pytest.fixture(scope="module")
def estimates() -> Estimates:
    return measured(60)


def test_the_share_of_the_same_person_has_a_threshold_among_the_sources_and_an_interval(
    estimates: Estimates,
) -> None:
    strict, lenient = (estimates.results[name] for name in METRICS[1:3])
    assert strict.n == lenient.n == {"generated": 180, "impostor": 60 * 59 // 2}
    assert 0 < strict.low < strict.value < strict.high < 1
    assert strict.value < lenient.value
    assert strict.resampled == "identity"
    assert 0.1 < estimates.results[METRICS[3]].value < 0.6


def test_few_sources_give_the_lenient_share_and_a_reason_for_the_strict_one() -> None:
    found = measured(20).results
    assert found["same_person_fmr100_sface"].value is not None
    assert found["same_person_fmr1000_sface"].reason == (
        "190 pairs of different people, a false match rate of 1/1000 needs 1000"
    )
    alone = measured(1, photographs=30).results
    assert alone["same_person_fmr100_sface"].reason.startswith("needs sources of two people or more")
    trade_off = alone["edit_trade_off_faceapi"]
    assert trade_off.value is not None
    assert trade_off.note.startswith(
        "same person from a cosine of 0.363 on, the threshold of photographs: needs sources"
    )
    assert trade_off.n == {"generated": 90, "faces": 30}


def test_pairs_of_one_person_are_no_impostors() -> None:
    assert measured(30, photographs=2).results["same_person_fmr100_sface"].n["impostor"] == 60 * 59 // 2 - 30


def test_the_curve_falls_in_identity_and_rises_in_expression(estimates: Estimates, tmp_path: Path) -> None:
    (curve,) = estimates.curves["edits"]
    assert curve["strengths"] == list(STRENGTHS)
    assert curve["gained"][0] == 0
    assert curve["kept"][0] == 1
    assert curve["gained"] == sorted(curve["gained"])
    assert curve["kept"] == sorted(curve["kept"], reverse=True)
    for name in ("gained", "kept"):
        ends = zip(curve[f"{name}_low"], curve[name], curve[f"{name}_high"], strict=True)
        assert all(0 <= low <= value <= high <= 1 for low, value, high in ends)
    result = estimates.results["edit_trade_off_faceapi"]
    (_, middle, strong), (_, kept_middle, kept_strong) = curve["gained"], curve["kept"]
    assert result.value == pytest.approx(middle * kept_middle + (strong - middle) * kept_strong, abs=1e-5)
    assert result.low < result.value < result.high
    assert result.n == {"generated": 180, "faces": 60, "impostor": 1770}

    run = make_run("edits").with_curves(estimates.curves)
    run.save(tmp_path)
    (table,) = edit_curve_tables(load_run(tmp_path))
    assert [row[0].text for row in table.rows] == ["0", "0.5", "1"]
    assert table.rows[0][2].text == "1.00"
    assert edit_curve_tables(make_run("other")) == []
