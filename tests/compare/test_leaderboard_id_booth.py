"""The tables of ID-Booth: two named real sets, with the definitions of the paper and of its scripts."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import facebench
from facebench.compare.leaderboard import Leaderboard
from facebench.core.errors import InputError
from facebench.evaluation.record import Run
from facebench.metrics import (
    id_booth_pairs,
    id_booth_scores,
    id_booth_verification,
    pair_scores,
    verification,
)
from facebench.metrics.id_booth import id_booth_summary
from facebench.metrics.intervals.identity import bootstrap_identities
from facebench.synthface.degradations import noise
from tests.helpers.metric_inputs import Golden

GOLDEN = Golden("verification")
CASES = [case for case in GOLDEN.manifest["values"] if case != "distances"]


@pytest.fixture(scope="module")
def sets(faces: Path, other_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Generated faces of six people, real faces of the same people, and a flat set of other people."""
    root = tmp_path_factory.mktemp("id-booth")
    for number in range(6):
        name = f"id{number:03d}"
        (root / "generated" / name).mkdir(parents=True)
        (root / "real" / name).mkdir(parents=True)
        for place, file in enumerate(sorted((faces / "images" / name).glob("*.png"))[:4]):
            shutil.copy(file, root / "real" / name)
            image = noise(np.asarray(Image.open(file)), 0.15, seed=100 * number + place)
            Image.fromarray(image).save(root / "generated" / name / file.name)
    (root / "strangers").mkdir()
    for number, file in enumerate(sorted((other_faces / "images").rglob("*.png"))[:30]):
        shutil.copy(file, root / "strangers" / f"{number:02d}.png")
    return {name: root / name for name in ("generated", "real", "strangers")}


def measured(sets: dict[str, Path], protocol: str) -> Run:
    reference = {"TFD": sets["real"], "FFHQ": sets["strangers"]}
    tags = {"base": "SD-XL", "prompt": "Base"}
    return facebench.evaluate(sets["generated"], reference, protocol=protocol, suite="compact", tags=tags)


@pytest.fixture(scope="module")
def stated(sets: dict[str, Path]) -> Run:
    return measured(sets, "id-booth")


@pytest.fixture(scope="module")
def released(sets: dict[str, Path]) -> Run:
    return measured(sets, "id-booth-released")


def test_every_distance_is_measured_against_both_real_sets(stated: Run) -> None:
    metrics = stated.metrics
    assert list(metrics)[:4] == ["fd_lite0@TFD", "fd_lite0@FFHQ", "mmd_lite0@TFD", "mmd_lite0@FFHQ"]
    assert metrics["fd_lite0@TFD"].value < metrics["fd_lite0@FFHQ"].value
    assert metrics["fd_lite0@FFHQ"].n == {"generated": 24, "reference": 30}
    assert metrics["fd_lite0@TFD"].title.endswith("against TFD")
    assert set(stated.inputs) == {"generated", "reference:TFD", "reference:FFHQ"}
    assert set(stated.per_image["role"]) == set(stated.inputs)


def test_identity_is_compared_with_the_real_set_that_has_the_same_people(stated: Run) -> None:
    assert "eer_sface_real@TFD" in stated.metrics
    assert not any(metric.endswith("real@FFHQ") for metric in stated.metrics)
    assert stated.metrics["eer_sface_real@TFD"].n["genuine"] == 6 * 16
    assert stated.metrics["eer_sface"].n["genuine"] == 6 * 6


def test_without_common_identities_the_record_gives_a_reason(sets: dict[str, Path]) -> None:
    run = facebench.evaluate(sets["generated"], {"FFHQ": sets["strangers"]}, metrics=["eer_sface_real"])
    assert "needs identities in the reference set" in run.metrics["eer_sface_real@FFHQ"].reason


def test_the_released_variant_takes_the_released_pairs(released: Run) -> None:
    names = np.repeat([f"id{number:03d}" for number in range(6)], 4)
    among, real = id_booth_pairs(names), id_booth_pairs(names, names)
    assert len(real.genuine) == 6 * 6
    for metric, pairs in (("eer_sface_released", among), ("eer_sface_real_released@TFD", real)):
        n = released.metrics[metric].n
        assert (n["genuine"], n["impostor"]) == (len(pairs.genuine), len(pairs.impostor))
    assert "precision_lite0_strict@FFHQ" in released.metrics


def test_every_number_of_both_variants_has_a_value_or_a_reason(stated: Run, released: Run) -> None:
    for run in (stated, released):
        for metric, result in run.metrics.items():
            assert result.value is not None or result.reason, metric
            if result.value is not None:
                assert result.low <= result.value <= result.high, metric


def test_the_table_has_the_layout_of_the_paper(stated: Run) -> None:
    table = Leaderboard.from_runs([stated]).boards[0].table()
    keys = [column.key for column in table.columns]
    assert keys[:3] == ["base", "prompt", "model"]
    assert not any("std" in key for key in keys)
    cells = dict(zip(keys, table.rows[0], strict=True))
    assert cells["base"].text == "SD-XL"
    assert " ± " in cells["genuine_mean_sface_real@TFD"].text
    assert " ± " in cells["face_quality_sface"].text
    assert cells["genuine_mean_sface"].second == stated.metrics["genuine_std_sface"].value


def test_runs_with_different_reference_sets_are_not_ranked_together(stated: Run) -> None:
    inputs = {**stated.inputs, "reference:FFHQ": stated.inputs["reference:TFD"]}
    other = stated.model_copy(update={"inputs": inputs})
    assert Leaderboard.from_runs([stated, other]).boards[1].separation_reasons == ["different reference set"]


# With one score for all pairs pyeer reports an EER of 1; tests/metrics/test_verification.py states the textbook value.
@pytest.mark.parametrize("case", [case for case in CASES if case != "one_value"])
def test_operating_points_are_those_of_the_recorded_scripts(case: str) -> None:
    expected = GOLDEN.manifest["values"][case]
    found = id_booth_verification(GOLDEN.arrays[f"{case}.genuine"], GOLDEN.arrays[f"{case}.impostor"])
    pairs = {"fmr100": "fmr100", "fmr1000": "fmr1000", "zero_fmr": "fmr0", "eer": "eer", "fdr": "fdr"}
    for mine, theirs in pairs.items():
        recorded = float(expected[theirs])  # "inf" and "nan" are text in the manifest
        assert getattr(found, mine) == pytest.approx(recorded, rel=1e-9, abs=1e-12, nan_ok=True), mine


def test_an_operating_point_beyond_its_target_has_a_note_with_its_fmr() -> None:
    answer = id_booth_verification([0.9, 0.8, 0.4], [0.1, 0.2, 0.95])
    assert answer.notes["fmr100"] == "taken at an FMR of 33.33%, the nearest to 1.0%"
    assert verification([0.9, 0.8, 0.4], [0.1, 0.2, 0.95]).fmr100 is None


def test_released_scores_contain_the_identities_of_each_pair() -> None:
    rng = np.random.default_rng(0)
    rows, names = rng.standard_normal((60, 8)), np.repeat([f"p{i:02d}" for i in range(20)], 3)
    scores = id_booth_scores(rows, names)
    assert np.allclose(np.sort(scores.genuine), np.sort(pair_scores(rows, names).genuine))
    assert np.bincount(scores.genuine_identity).tolist() == [3] * 20
    assert (scores.impostor_identities[:, 0] != scores.impostor_identities[:, 1]).all()
    found = bootstrap_identities(scores, resamples=50, summary=id_booth_summary)
    answer = id_booth_verification(scores.genuine, scores.impostor)
    assert found["genuine_mean"].low < answer.genuine_mean < found["genuine_mean"].high


def test_a_reference_name_that_would_break_ids_is_refused(faces: Path) -> None:
    with pytest.raises(InputError, match="cannot name a reference set"):
        facebench.evaluate(faces, {"a@b": faces}, metrics=["kd_lite0"])
