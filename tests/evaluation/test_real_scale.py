"""The value of a metric for real faces alone, beside that of the generated faces."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import facebench
from facebench.evaluation.cards import find_card
from facebench.evaluation.metric_result import Estimate, metric_result
from facebench.evaluation.real_scale import SPLITS, add_scales
from facebench.evaluation.record import MetricResult, Run
from facebench.evaluation.record_reading import load_run
from facebench.evaluation.role_features import RoleFeatures
from facebench.evaluation.run_table import run_table
from facebench.features.store.sqlite import Store
from facebench.images.listing import Item
from facebench.report.pages.run import report_page
from facebench.report.pages.texts import texts
from tests.helpers.records import make_result, make_run

DIMENSION = 12


def scale_of(
    metric: str, generated: RoleFeatures, *, seed: int = 0, store: Store | None = None
) -> MetricResult:
    card = find_card(metric)
    n = len(generated.extractions["generated"].items)
    result = metric_result(
        card, Estimate(values={"value": 1.0, "eer": 1.0, "recall": 1.0}, counts={"generated": n})
    )
    add_scales({metric: result}, [card], generated, seed=seed, store=store)
    return result


def features(
    generated: int, reference: int, images: int = 1, people: str = "r", network: str = "lite0"
) -> RoleFeatures:
    """Features of normally distributed images, with `images` of each person around the mean of the person."""
    rng = np.random.default_rng(5)
    array = "features" if network == "lite0" else "embedding"

    def extraction(n: int, per_person: int, name: str) -> SimpleNamespace:
        people = rng.standard_normal((n // per_person, DIMENSION)).repeat(per_person, axis=0)
        rows = (people + 0.3 * rng.standard_normal(people.shape)).astype(np.float32)
        items = [
            Item(Path(f"{name}{i}.png"), f"{name}{i}.png", {"identity": f"{name}{i // per_person}"})
            for i in range(len(rows))
        ]
        valid = np.ones(len(rows), np.bool_)
        return SimpleNamespace(
            items=tuple(items), arrays={network: {array: rows}}, valid={network: valid}, finder=None
        )

    roles = {"generated": extraction(generated, 1, people), "reference": extraction(reference, images, "r")}
    return RoleFeatures(roles, {})


def test_the_scale_of_a_distance_is_one_half_of_the_reference_set_against_the_other() -> None:
    given = features(50, 400, people="g")
    real = scale_of("fd_lite0", given).real
    assert real.n == {"generated": 50, "reference": 200}
    assert real.note == ""
    assert real.low < real.value < real.high
    rows = np.asarray(given.extractions["reference"].arrays["lite0"]["features"], np.float64)
    halves = facebench.metrics.frechet_distance(rows[:50], rows[200:])
    assert real.value == pytest.approx(halves, rel=0.5)


def test_a_small_reference_set_gives_fewer_images_and_says_so() -> None:
    real = scale_of("fd_lite0", features(300, 400, people="g")).real
    assert real.n == {"generated": 200, "reference": 200}
    assert real.note == "from 200 images, fewer than the 300 generated ones"


def test_the_halves_share_no_person_unless_the_generated_set_shows_these_people() -> None:
    others = scale_of("kd_lite0", features(40, 400, images=20, people="g")).real
    same = scale_of("kd_lite0", features(20, 400, images=20, people="r")).real
    assert others.value > 3 * abs(same.value)  # ten people against ten others, or the same twenty people


def test_a_set_without_a_reference_or_with_a_tiny_one_has_no_scale() -> None:
    given = features(10, 20)
    only = RoleFeatures({"generated": given.extractions["generated"]}, {})
    assert scale_of("vendi_lite0", only).real is None
    assert scale_of("recall_lite0", features(10, 4)).real is None


def test_the_scale_of_diversity_is_that_of_as_many_reference_images() -> None:
    given = features(30, 90)
    real = scale_of("vendi_lite0", given).real
    assert real.n == {"reference": 30}
    rows = given.extractions["reference"].arrays["lite0"]["features"]
    assert real.value == pytest.approx(facebench.metrics.vendi_score(rows[:30]), rel=0.2)


def test_the_scale_of_verification_is_the_error_of_the_recogniser_on_the_reference_set() -> None:
    given = features(20, 80, images=4, network="sface")
    real = scale_of("eer_sface", given).real
    reference = given.extractions["reference"]
    people = [item.columns["identity"] for item in reference.items]
    rows = reference.arrays["sface"]["embedding"]
    scores = facebench.metrics.pairs.pair_scores(rows, people)
    assert real.value == facebench.metrics.verification(scores.genuine, scores.impostor).eer
    assert real.n == {"reference": 80, "identities": 20}


def test_scales_are_reproducible_and_stored(tmp_path: Path) -> None:
    given, store = features(50, 200, people="g"), Store(tmp_path)
    first = scale_of("fd_lite0", given, store=store).real
    assert store.info().entries == 1
    assert scale_of("fd_lite0", given, store=store).real == first == scale_of("fd_lite0", given).real
    assert store.info().entries == 1
    assert scale_of("fd_lite0", given, seed=1).real != first
    other = features(51, 200, people="g")
    assert scale_of("fd_lite0", other, store=store).real != first
    assert SPLITS > 1


def scaled_run() -> Run:
    run = make_run("ours", fd_lite0=202.5, recall_lite0=0.5)
    real = {
        "value": 87.1,
        "low": 80,
        "high": 95,
        "n": {"generated": 40, "reference": 50},
        "note": "from 40 images",
    }
    run.metrics["fd_lite0"] = make_result("fd_lite0", 202.5, real=real)
    return run


def test_the_scale_stands_beside_the_value_in_the_table_of_a_run_and_in_its_record(tmp_path: Path) -> None:
    run = scaled_run()
    table = run_table(run)
    assert [column.key for column in table.columns] == ["metric", "value", "real", "n"]
    assert [row[2].text for row in table.rows] == ["87.10†", "–"]
    assert any(note.startswith("Real: the same metric for real faces alone") for note in table.notes)
    assert "† Real from 40 images: fd_lite0" in table.notes
    assert load_run(run.save(tmp_path)).metrics["fd_lite0"].real == run.metrics["fd_lite0"].real
    assert "real" not in [column.key for column in run_table(make_run("ours", fd_lite0=1.0)).columns]


def test_the_report_has_a_column_of_real_faces_in_every_language() -> None:
    for lang in ("en", "ja"):
        page = report_page([scaled_run()], lang)
        assert texts(lang)["real"] in page
        assert "87.10†" in page
    assert texts("en")["real_about"] not in report_page([make_run("ours", fd_lite0=1.0)])


def test_a_board_has_an_unranked_row_of_real_faces() -> None:
    better = scaled_run().model_copy(update={"name": "better"})
    better.metrics["fd_lite0"] = better.metrics["fd_lite0"].model_copy(
        update={"value": 100.0, "low": 99, "high": 101}
    )
    (table, *_) = facebench.Leaderboard.from_runs([scaled_run(), better]).tables
    rows = {row[0].text: row for row in table.rows}
    column = [each.key for each in table.columns].index("fd_lite0")
    assert rows["real faces"][column].text == "87.10†"
    assert rows["real faces"][column].mark == ""
    assert table.best("fd_lite0") == ["better"]
