"""Pair networks: each edit is compared once with its source."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image as PillowImage

import facebench
from facebench.backbones import Backbone, build
from facebench.backbones.lpips import LpipsAlex
from facebench.evaluation.role_features import link_rows
from facebench.features.extraction import Extraction, extract
from facebench.features.pairs import compare_pairs
from facebench.features.store.sqlite import Store
from facebench.images.image_set import ImageSet
from tests.goldens.fill import fill
from tests.helpers.paths import GOLDENS_FOLDER

IMAGES = sorted((GOLDENS_FOLDER / "images" / "a").glob("*.png"))[:4]


def lpips_state() -> dict[str, torch.Tensor]:
    """Filled weights; channel weights are positive, as in the trained network."""
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in LpipsAlex().state_dict().items()}
    return {name: x.abs() if name.startswith("lin") else x for name, x in fill(shapes, 0).items()}


@pytest.fixture(scope="module")
def lpips() -> Backbone:
    return build("lpips", lpips_state())


@pytest.fixture
def edits(tmp_path: Path) -> ImageSet:
    """Two edits of one image, an edit of another, an unchanged image, and an image without a source."""
    for image in IMAGES:
        shutil.copy(image, tmp_path)
    for number, dark in enumerate((0.9, 0.5)):
        pixels = np.asarray(PillowImage.open(IMAGES[0]).convert("RGB"))
        PillowImage.fromarray((pixels * dark).astype(np.uint8)).save(tmp_path / f"dark{number}.png")
    first, second, third, fourth = (image.name for image in IMAGES)
    rows = [("dark0.png", first), ("dark1.png", first), (third, second), (fourth, fourth), (second, "")]
    pd.DataFrame(rows, columns=["image", "source"]).to_csv(tmp_path / "manifest.csv", index=False)
    return ImageSet.open(tmp_path / "manifest.csv")


def compare(edits: ImageSet, lpips: Backbone, store: Store | None = None) -> tuple[Extraction, Extraction]:
    generated = extract(edits, [], store=store)
    source = extract(edits.linked("source")[0], [], store=store)
    partner = link_rows(edits, "source", generated, source)
    compare_pairs(lpips, generated, source, partner, store=store)
    return generated, source


def test_each_edit_is_compared_with_its_source(edits: ImageSet, lpips: Backbone) -> None:
    generated, _ = compare(edits, lpips)
    names = [item.name for item in generated.items]
    distance = dict(zip(names, generated.arrays["lpips"]["distance"], strict=True))
    assert distance[IMAGES[3].name] == 0
    assert 0 < distance["dark0.png"] < distance["dark1.png"]
    assert np.isnan(distance[IMAGES[1].name])
    assert generated.valid["lpips"].tolist() == [name != IMAGES[1].name for name in names]
    pair = [lpips.preprocess(np.asarray(PillowImage.open(IMAGES[i]).convert("RGB"))) for i in (2, 1)]
    alone = lpips.embed(torch.stack(pair)[None])["distance"][0]
    assert distance[IMAGES[2].name] == pytest.approx(alone, rel=1e-5)


def test_a_stored_pair_is_not_computed_again_and_a_new_pair_is(
    edits: ImageSet, lpips: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store")
    first, _ = compare(edits, lpips, store)
    seen: list[int] = []
    forward = type(lpips).run
    monkeypatch.setattr(type(lpips), "run", lambda self, batch: seen.append(1) or forward(self, batch))
    again, _ = compare(edits, lpips, store)
    assert seen == []
    np.testing.assert_array_equal(again.arrays["lpips"]["distance"], first.arrays["lpips"]["distance"])
    manifest = tmp_path / "manifest.csv"
    table = pd.read_csv(manifest).fillna("")
    table.loc[table["image"] == "dark0.png", "source"] = IMAGES[1].name
    table.to_csv(manifest, index=False)
    other, _ = compare(ImageSet.open(manifest), lpips, store)
    assert len(seen) > 0
    assert other.arrays["lpips"]["distance"][0] != first.arrays["lpips"]["distance"][0]


def test_a_source_changed_during_the_run_is_reported_and_not_compared(
    edits: ImageSet, lpips: Backbone
) -> None:
    generated = extract(edits, [], store=None)
    source = extract(edits.linked("source")[0], [], store=None)
    partner = link_rows(edits, "source", generated, source)
    shutil.copy(IMAGES[2], edits.items[0].path.parent / IMAGES[1].name)
    compare_pairs(lpips, generated, source, partner, store=None)
    assert generated.valid["lpips"].sum() == 3
    assert generated.warnings == [
        f"{IMAGES[2].name}: not compared by lpips: {IMAGES[1].name} changed during the run."
    ]


def test_without_sources_the_metric_states_its_requirement() -> None:
    run = facebench.evaluate(IMAGES[0].parent, metrics=["identity_similarity_sface"])
    assert run.metrics["identity_similarity_sface"].reason == "needs a manifest with the column 'source'"
