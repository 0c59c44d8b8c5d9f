"""Expression transfer: identity, expression, and the noise of both."""

from __future__ import annotations

import csv
import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest

import facebench
from facebench.evaluation.cards import load_cards
from facebench.evaluation.estimate import estimate_metrics
from facebench.evaluation.per_image import per_image_metric
from facebench.evaluation.protocols import find_protocol
from facebench.evaluation.record import MetricResult, Run
from facebench.evaluation.role_features import RoleFeatures
from facebench.features.extraction import Extraction
from facebench.images.image_set import ImageSet, read
from facebench.images.jpeg_null import MAX_IMAGES, reencode
from facebench.images.listing import Item

DIMENSIONS = ("valence", "arousal")


def transfers(faces: Path, folder: Path, answer: str) -> Path:
    """Eight transfers between different people by a model that returns its source or its target unchanged."""
    people = [faces / "images" / f"id{number:03d}" / "00.png" for number in range(9)]
    (folder / "made").mkdir(parents=True)
    with (folder / "manifest.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "source", "target"])
        for number, (source, target) in enumerate(itertools.pairwise(people)):
            for role, original in (("source", source), ("target", target)):
                shutil.copy(original, folder / f"{role}{number}.png")
            shutil.copy(source if answer == "source" else target, folder / "made" / f"{number}.png")
            table.writerow([f"made/{number}.png", f"source{number}.png", f"target{number}.png"])
    return folder


@pytest.fixture(scope="module")
def lazy(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = transfers(faces, tmp_path_factory.mktemp("lazy") / "set", "source")
    return facebench.evaluate(folder, protocol="expression-transfer", suite="compact")


def test_a_model_that_returns_its_source_keeps_the_identity_and_leaks_none(lazy: Run) -> None:
    values = {metric: result.value for metric, result in lazy.metrics.items()}
    assert values["identity_similarity_sface"] == pytest.approx(1, abs=1e-6)
    assert values["identity_leak_sface"] == pytest.approx(values["identity_start_sface"], abs=1e-6)
    assert values["identity_leak_sface"] < 0.5
    assert values["identity_verified_sface"] == 1.0
    assert values["face_quality_change_sface"] == pytest.approx(0, abs=1e-6)


def test_a_model_that_returns_its_target_has_a_high_identity_leak(faces: Path, tmp_path: Path) -> None:
    metrics = ["identity_similarity_sface", "identity_verified_sface", "identity_leak_sface"]
    run = facebench.evaluate(transfers(faces, tmp_path / "set", "target"), metrics=metrics)
    assert run.metrics["identity_verified_sface"].value < 1
    assert run.metrics["identity_similarity_sface"].value < 0.5


def test_re_encoding_an_image_causes_a_small_measured_change(lazy: Run) -> None:
    noise = lazy.metrics["identity_noise_sface"]
    assert 0.8 < noise.value < 1
    assert noise.low <= noise.value <= noise.high
    assert noise.n == {"generated": 8}


def test_the_record_lists_the_input_sets_and_no_temporary_ones(lazy: Run) -> None:
    assert set(lazy.inputs) == {"generated", "source", "target"}
    assert set(lazy.per_image["role"]) == {"generated", "source", "target"}


def test_the_per_image_table_contains_the_terms_of_comparisons_with_the_source(lazy: Run) -> None:
    change = per_image_metric("face_quality_change_sface", lazy)
    assert change is not None
    assert change.rows.shape == (8, 2)
    leak = per_image_metric("identity_leak_sface", lazy)
    assert leak is not None
    assert leak.rows.shape == (8, 1)
    verified = per_image_metric("identity_verified_sface", lazy)
    assert verified is not None
    assert verified.value() == 1.0


def test_without_targets_metrics_have_a_reason_instead_of_a_value(faces: Path) -> None:
    metrics = ["identity_leak_sface", "identity_start_sface", "identity_noise_sface"]
    run = facebench.evaluate(faces, metrics=metrics)
    assert run.metrics["identity_leak_sface"].reason == "needs a manifest with the column 'target'"
    assert run.metrics["identity_start_sface"].reason == "needs a manifest with the column 'source'"
    assert run.metrics["identity_noise_sface"].value > 0.8


def test_re_encoding_keeps_names_and_samples_at_most_the_limit(faces: Path) -> None:
    images = ImageSet.open(faces)
    again = reencode(images, seed=0)
    assert [item.name for item in again.items] == [item.name for item in images.items][:MAX_IMAGES]
    assert all(read(item)[:2] == b"\xff\xd8" for item in again.items[:5])


def known(values: dict[str, np.ndarray], columns: list[dict[str, str]] | None = None) -> Extraction:
    """An extraction with these predictions of an affect network."""
    n = len(values["valence"])
    items = tuple(Item(Path(f"{i}.png"), f"{i}.png", (columns or [{}] * n)[i]) for i in range(n))
    arrays = {name: rows.astype(np.float32) for name, rows in values.items()}
    return Extraction(
        items=items,
        rejected=(),
        sha256=["0" * 64] * n,
        sizes=np.zeros((n, 2), dtype=np.int64),
        faces=[None] * n,
        arrays={"maxvit-va": arrays},
        valid={"maxvit-va": np.ones(n, dtype=np.bool_)},
        backbones={},
        timings={},
        digest="0" * 64,
    )


@pytest.fixture(scope="module")
def affect() -> dict[str, MetricResult]:
    """Forty transfers that cover half of the gap with a known offset, and a reconstruction with a change of 0.03."""
    rng = np.random.default_rng(0)
    source = {name: rng.uniform(-0.6, 0.6, 40) for name in DIMENSIONS}
    target = {name: rng.uniform(-0.6, 0.6, 40) for name in DIMENSIONS}
    made = {name: (source[name] + target[name]) / 2 + 0.1 for name in DIMENSIONS}
    asked = [{name: f"{target[name][i] + 0.05:.6f}" for name in DIMENSIONS} for i in range(40)]
    roles = {
        "generated": known(made, asked),
        "source": known(source),
        "target": known(target),
        "reconstruction": known({name: source[name] - 0.03 for name in DIMENSIONS}),
        "reencoded": known({name: made[name] + 0.01 for name in DIMENSIONS}),
    }
    links = {role: np.arange(40) for role in roles if role != "generated"}
    chosen = [
        card
        for card in load_cards().values()
        if card.id.endswith("_maxvit") and card.reads.backbone == "maxvit-va"
    ]
    return estimate_metrics(chosen, RoleFeatures(roles, links), seed=0, progress=lambda *_: None).results


def test_known_predictions_give_known_gaps_errors_and_nulls(affect: dict[str, MetricResult]) -> None:
    rng = np.random.default_rng(0)
    source, _ = rng.uniform(-0.6, 0.6, 40), rng.uniform(-0.6, 0.6, 40)
    target = rng.uniform(-0.6, 0.6, 40)
    way = target - source
    expected = {
        "gap": np.abs(way).mean(),
        "error": np.abs(0.1 - way / 2).mean(),
        "bias": (0.1 - way / 2).mean(),
        "noise": 0.01,
        "null": 0.03,
        "truth_error": np.abs(0.05 - way / 2).mean(),
        "change": (way / 2 + 0.1).mean(),
    }
    for kind, value in expected.items():
        result = affect[f"valence_{kind}_maxvit"]
        assert result.value == pytest.approx(value, abs=1e-5), kind
        assert result.low - 1e-6 <= result.value <= result.high + 1e-6
        assert result.n == {"generated": 40}


def test_going_half_of_the_way_halves_the_gap_and_keeps_some_concordance(
    affect: dict[str, MetricResult],
) -> None:
    for name in DIMENSIONS:
        assert affect[f"{name}_error_maxvit"].value < affect[f"{name}_gap_maxvit"].value
        assert 0.2 < affect[f"{name}_ccc_maxvit"].value < 0.9
        assert 0 < affect[f"{name}_truth_ccc_maxvit"].value < 1


def test_every_affect_network_is_applied_to_every_transfer() -> None:
    suites = find_protocol("expression-transfer").suites
    networks = {
        card.id.rpartition("_")[2] for card in load_cards().values() if card.id.startswith("valence_error")
    }
    assert len(networks) == 8
    for network in networks:
        suite = "compact" if network in ("reader", "faceapi") else "paper"
        for kind in ("gap", "error", "bias", "ccc", "rmse", "sagr", "noise", "null", "truth_error"):
            assert {f"{name}_{kind}_{network}" for name in DIMENSIONS} <= set(suites[suite])
