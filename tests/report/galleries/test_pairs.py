"""Galleries of related images: triplets, and closest training images."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from facebench.core.language import languages
from facebench.evaluation.record import Run
from facebench.report.galleries.pairs import LINKED_ROLES, RunImages, closest_images
from facebench.report.pages.run import report_page
from facebench.report.pages.texts import texts
from tests.helpers.transfer_runs import make_transfer_run, with_closest


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_transfer_run(tmp_path_factory.mktemp("transfer"), "ours")


def test_related_images_stand_in_the_order_of_the_edit(run: Run) -> None:
    assert run.per_image is not None
    images = RunImages(run, run.per_image)
    group = images.group(str(images.generated.index[0]), {})
    assert [role for role, _ in group.thumbnails] == ["source", "generated", "target"]
    assert all(image.uri for _, image in group.thumbnails)


def test_images_of_a_role_that_was_not_measured_are_left_out(run: Run) -> None:
    """The record of `edit-benchmark` names targets in its table, and does not state where they are."""
    assert run.per_image is not None
    inputs = {role: images for role, images in run.inputs.items() if role != "target"}
    without = run.model_copy(update={"inputs": inputs})
    images = RunImages(without, run.per_image)
    assert [role for role, _ in images.related(str(images.generated.index[0]))] == ["source", "generated"]


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
