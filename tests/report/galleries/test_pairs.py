"""Galleries of related images: triplets, and closest training images."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from facebench.evaluation.record import Run
from facebench.report.galleries.pairs import LINKED_ROLES, closest_images, rankings
from facebench.report.pages.run import report_page
from facebench.report.pages.texts import languages, texts
from tests.helpers.transfer_runs import make_transfer_run, with_closest


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_transfer_run(tmp_path_factory.mktemp("transfer"), "ours")


def test_triplets_show_source_target_and_generated_worst_first(run: Run) -> None:
    ranking = rankings(run)[0]
    assert ranking.metric == "valence_error_maxvit"
    assert [role for role, _ in ranking.worst[0].thumbnails] == ["source", "target", "generated"]
    assert all(image.uri for _, image in ranking.worst[0].thumbnails)
    values = [float(dict(group.values)["valence_error_maxvit"]) for group in ranking.worst]
    assert values == sorted(values, reverse=True)
    assert values[-1] >= max(float(dict(group.values)["valence_error_maxvit"]) for group in ranking.best)


def test_closest_training_images_above_the_threshold_are_marked_as_copies(
    tmp_path: Path,
) -> None:
    run = with_closest(make_transfer_run(tmp_path, "copies"))
    (closest,) = closest_images(run)
    assert (closest.backbone, closest.role, closest.threshold) == ("sface", "reference:TRAIN", 0.85)
    assert [role for role, _ in closest.groups[0].thumbnails] == ["generated", "reference:TRAIN"]
    cosines = [float(group.values[0][1]) for group in closest.groups]
    assert [group.is_copy for group in closest.groups] == [cosine >= 0.85 for cosine in cosines]
    page = report_page([run])
    assert "cosine similarity of 0.850 or more" in page
    assert "reference TRAIN" in re.sub(r"\s+", " ", page)


def test_roles_have_names_in_every_language() -> None:
    for lang in languages():
        assert set(texts(lang)["roles"]) >= {"generated", "reference", *LINKED_ROLES}
