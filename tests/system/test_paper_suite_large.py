"""Complete quality protocol of the paper suite, with CLIP and DINOv2 ViT-L, and filled weights."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from facebench.evaluation.plan import make_plan
from tests.helpers.golden_networks import GOLDENS
from tests.helpers.paper_weights import marked, measure, own_cache, put_in_place, valued

A, B = (sorted((GOLDENS / "images" / side).glob("*.png")) for side in "ab")


@pytest.fixture(autouse=True)
def filled() -> Iterator[None]:
    with own_cache() as folder:
        put_in_place(("inception", "crfiqa-l", "clip", "dinov2-vitl14"), folder)
        yield


def test_the_whole_quality_protocol_runs_with_the_large_networks(tmp_path: Path) -> None:
    """Eight generated and seven reference images, one batch: a large network takes seconds per image on a CPU."""
    shown = [*A[:24:6], *B[:24:6]]
    for side, files in (("a", shown), ("b", shown[:7])):
        (tmp_path / side).mkdir()
        for file in files:
            shutil.copy(file, tmp_path / side)
    assert make_plan("quality", "auto").suite == "compact", (
        "unofficial weights are never chosen by themselves"
    )
    run, _ = measure(tmp_path / "run", tmp_path / "a", "--reference", tmp_path / "b", "--suite", "paper")
    assert list(run.metrics) == [card.id for card in make_plan("quality", "paper").cards]
    valued(run.metrics)
    marked(run)
    assert run.suite == "paper"
