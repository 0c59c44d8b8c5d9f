"""Per-image terms: the per-image table reproduces every mean over images."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import facebench
from facebench.compare.gate import check
from facebench.evaluation.leakage import closest_pairs
from facebench.evaluation.per_image import image_terms, per_image_metric
from facebench.evaluation.record import Run
from tests.evaluation.test_estimate_transfer import transfers
from tests.helpers.records import make_result, make_run

PAIRED = [
    "identity_similarity_sface",
    "identity_leak_sface",
    "identity_start_sface",
    "identity_noise_sface",
    "face_quality_change_sface",
    "face_quality_sface",
    "face_found",
]


@pytest.fixture(scope="module")
def moved(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Two models over the same eight transfers."""
    root = tmp_path_factory.mktemp("moved")
    found = {}
    for answer in ("source", "target"):
        folder = transfers(faces, root / answer, answer)
        found[answer] = facebench.evaluate(folder, protocol="expression-transfer", suite="compact")
    return found


@pytest.mark.parametrize("metric", PAIRED)
def test_the_mean_of_the_per_image_terms_is_the_metric(moved: dict[str, Run], metric: str) -> None:
    for run in moved.values():
        numbers = image_terms(metric, run)
        assert numbers is not None
        assert len(numbers) == 8
        assert numbers.mean() == pytest.approx(run.metrics[metric].value, rel=1e-9)


def test_two_models_over_the_same_sources_are_compared_in_pairs(moved: dict[str, Run]) -> None:
    items = {item.metric: item for item in check(moved["target"], moved["source"]).items}
    for metric in PAIRED:
        change = items[metric].change
        assert change is not None
        assert change.method == "paired over 8 images", metric
    assert items["identity_similarity_sface"].verdict == "failed"
    # Properties of the task do not change between models.
    start = items["identity_start_sface"].change
    assert start is not None
    assert (start.low, start.value, start.high) == (0, 0, 0)


def test_values_are_equal_after_saving_and_loading(moved: dict[str, Run], tmp_path: Path) -> None:
    loaded = facebench.load_run(moved["source"].save(tmp_path).parent)
    assert image_terms("identity_leak_sface", loaded) is not None


def answered(**columns: list[float]) -> Run:
    """Three transfers with predictions of an affect network."""
    rows = pd.DataFrame({"role": ["generated"] * 3, "image": ["a", "b", "c"], "target": ["x", "y", "z"]})
    targets = pd.DataFrame({"role": ["target"] * 3, "image": ["x", "y", "z"]})
    rows["valence:maxvit-va"] = columns["generated"]
    targets["valence:maxvit-va"] = columns["target"]
    return make_run("ours").with_per_image(pd.concat([rows, targets], ignore_index=True))


def test_errors_and_biases_are_means_over_images_and_concordance_is_not() -> None:
    run = answered(generated=[0.1, 0.5, -0.5], target=[0.2, 0.1, -0.5])
    made = {"valence_error_maxvit": 0.5 / 3, "valence_bias_maxvit": 0.1, "valence_ccc_maxvit": 0.0}
    for metric, value in made.items():
        run.metrics[metric] = make_result(metric, value)
    concordance = facebench.metrics.affect_agreement([0.2, 0.1, -0.5], [0.1, 0.5, -0.5]).ccc
    run.metrics["valence_ccc_maxvit"].value = float(concordance)
    error, bias = image_terms("valence_error_maxvit", run), image_terms("valence_bias_maxvit", run)
    assert error is not None
    assert bias is not None
    assert error.to_list() == pytest.approx([0.1, 0.4, 0.0])
    assert bias.to_list() == pytest.approx([-0.1, 0.4, 0.0])
    assert per_image_metric("valence_ccc_maxvit", run) is not None
    assert image_terms("valence_ccc_maxvit", run) is None


def test_the_output_of_a_pair_network_is_one_number_per_generated_image() -> None:
    table = pd.DataFrame({"role": ["generated", "source"], "image": ["a", "s"], "source": ["s", None]})
    table["distance:lpips"] = [0.25, np.nan]
    run = make_run("ours").with_per_image(table)
    run.metrics["lpips"] = make_result("lpips", 0.25)
    numbers = image_terms("lpips", run)
    assert numbers is not None
    assert numbers.to_dict() == {"a": 0.25}


def test_closest_training_faces_exist_for_every_named_set(
    faces: Path, other_faces: Path, tmp_path: Path
) -> None:
    (tmp_path / "made").mkdir()
    for number in range(4):
        file = faces / "images" / f"id{number:03d}" / "00.png"
        shutil.copy(file, tmp_path / "made" / f"{number}.png")
    metrics = ["leaked_share_sface", "closest_similarity_sface", "leak_threshold_sface"]
    sets = {"TRAIN": faces, "OTHER": other_faces}
    run = facebench.evaluate(tmp_path / "made", sets, metrics=metrics)
    found = {pairs.role: pairs for pairs in closest_pairs(run)}
    assert set(found) == {"reference:TRAIN", "reference:OTHER"}
    train = found["reference:TRAIN"]
    assert [cosine for _, _, cosine in train.pairs] == pytest.approx([1.0] * 4, abs=1e-6)
    assert all(other.endswith(f"id{int(image[0]):03d}/00.png") for image, other, _ in train.pairs)
    assert train.threshold == run.metrics["leak_threshold_sface@TRAIN"].value
    leaked = image_terms("leaked_share_sface@TRAIN", run)
    assert leaked is not None
    assert leaked.to_list() == [1, 1, 1, 1]
    assert image_terms("closest_similarity_sface@OTHER", run) is not None
