"""Where a run is weakest: images, people and expressions."""

from __future__ import annotations

from pathlib import Path

from facebench.report.galleries.pairs import RunImages
from facebench.report.galleries.weakest import weakest
from tests.helpers.transfer_runs import make_transfer_run


def test_the_person_whose_face_does_not_change_is_the_worst(tmp_path: Path) -> None:
    run = make_transfer_run(tmp_path, "ours", hard="bob")
    assert run.per_image is not None
    first = weakest(run, RunImages(run, run.per_image))[0]
    assert first.metric == "Valence error (MaxViT V/A) ↓"
    assert first.groups["identity"][0].name == "bob"
    assert first.groups["identity"][0].count == 8
    assert len(first.groups["expression"]) == 1
    worst = [float(group.values[0][1]) for group in first.images]
    assert worst == sorted(worst, reverse=True)


def test_a_run_without_images_has_none(tmp_path: Path) -> None:
    assert weakest(make_transfer_run(tmp_path, "ours"), None) == []
