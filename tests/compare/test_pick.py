from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facebench.compare.comparability import reasons_not_comparable
from facebench.compare.pick import Choice, pick
from facebench.core.errors import InputError
from facebench.evaluation.picked import PICKED, picked_tag
from facebench.evaluation.record import Run
from facebench.images.image_set import ImageSet
from tests.helpers.records import make_input, make_run

COLUMN = "quality:sface-quality"


def run_of(folder: Path, *, n: int = 8, people: int = 2) -> Run:
    """A run over n images of some people whose quality rises with the number of the image."""
    images = folder / "images"
    images.mkdir(parents=True)
    names = [f"{place}.png" for place in range(n)]
    for place, name in enumerate(names):
        Image.new("RGB", (8, 8), (place, 0, 0)).save(images / name)
    Image.new("RGB", (8, 8), (0, 0, 99)).save(folder / "source.png")
    table = pd.DataFrame(
        {
            "role": "generated",
            "image": names,
            "sha256": [hashlib.sha256((images / name).read_bytes()).hexdigest() for name in names],
            "face_score": 0.9,
            "identity": [f"p{place % people}" for place in range(n)],
            "source": "../source.png",
            COLUMN: np.arange(n, dtype=np.float32) / 10,
        }
    )
    mean = float(np.arange(n, dtype=np.float32).mean() / 10)
    run = make_run("model", images=n, face_quality_sface=mean, sharpness=None)
    run.inputs["generated"] = make_input("model", n).model_copy(update={"path": str(images)})
    return run.with_per_image(table)


def rows(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_best_of_each_group_are_copied_with_their_columns_and_sources(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    result = pick(run, tmp_path / "out", Choice(COLUMN, best=2, group="identity", lowest=False))
    assert (result.images, result.groups, result.without_number) == (4, 2, 0)
    written = rows(result.manifest)
    assert [row["image"] for row in written] == ["4.png", "5.png", "6.png", "7.png"]
    assert {row["identity"] for row in written} == {"p0", "p1"}
    assert {row[PICKED] for row in written} == {f"highest 2 of 4 by {COLUMN}"}
    assert (tmp_path / "out" / "7.png").read_bytes() == (tmp_path / "images" / "7.png").read_bytes()
    opened = ImageSet.open(tmp_path / "out")
    assert len(opened) == 4
    linked, places = opened.linked("source")
    assert len(linked) == 1
    assert places == [0, 0, 0, 0]


def test_a_metric_follows_its_better_direction(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    best = pick(run, tmp_path / "best", Choice("face_quality_sface", group="identity"))
    assert [row["image"] for row in rows(best.manifest)] == ["6.png", "7.png"]
    worst = pick(run, tmp_path / "worst", Choice("face_quality_sface", group="identity", lowest=True))
    assert [row["image"] for row in rows(worst.manifest)] == ["0.png", "1.png"]
    one = pick(run, tmp_path / "one", Choice("face_quality_sface"))
    assert [row["image"] for row in rows(one.manifest)] == ["7.png"]


def test_images_without_a_number_are_never_picked(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    assert run.per_image is not None
    run.per_image.loc[7, COLUMN] = np.nan
    result = pick(run, tmp_path / "out", Choice(COLUMN, lowest=False))
    assert result.without_number == 1
    assert [row["image"] for row in rows(result.manifest)] == ["6.png"]


def test_picked_images_mark_the_record_and_are_not_comparable(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    manifest = pick(run, tmp_path / "out", Choice(COLUMN, lowest=False)).manifest
    tag = picked_tag(ImageSet.open(manifest))
    assert tag == {PICKED: f"highest 1 of 8 by {COLUMN}"}
    assert picked_tag(ImageSet.open(tmp_path / "images")) == {}
    marked = run.model_copy(update={"tags": tag})
    assert any("picked images" in reason for reason in reasons_not_comparable(run, marked))
    assert any("not picked images" in reason for reason in reasons_not_comparable(marked, run))
    assert reasons_not_comparable(marked, marked) == []


def test_half_picked_sets_are_refused(tmp_path: Path) -> None:
    run_of(tmp_path)
    manifest = tmp_path / "images" / "half.csv"
    manifest.write_text("image,picked\n0.png,best 1 of 2 by x\n1.png,\n")
    with pytest.raises(InputError, match="one text for all images"):
        picked_tag(ImageSet.open(manifest))


def test_bad_requests_are_refused(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    out = tmp_path / "out"
    with pytest.raises(InputError, match="Did you mean"):
        pick(run, out, Choice("quality:sface-qualty"))
    with pytest.raises(InputError, match="no better direction"):
        pick(run, out, Choice(COLUMN))
    with pytest.raises(InputError, match="no column 'person'"):
        pick(run, out, Choice(COLUMN, group="person", lowest=True))
    with pytest.raises(InputError, match="has 4 images with a number, 5 are to be kept"):
        pick(run, out, Choice(COLUMN, best=5, group="identity", lowest=True))
    with pytest.raises(InputError, match="not a mean over images"):
        pick(run, out, Choice("sharpness"))
    with pytest.raises(InputError, match="At least one"):
        pick(run, out, Choice(COLUMN, best=0, lowest=True))
    with pytest.raises(InputError, match="no per-image table"):
        pick(make_run("other"), out, Choice(COLUMN))
    (tmp_path / "images" / "7.png").write_bytes(b"changed")
    with pytest.raises(InputError, match="has changed since the evaluation"):
        pick(run, out, Choice(COLUMN, lowest=False))
    with pytest.raises(InputError, match="is not empty"):
        pick(run, tmp_path, Choice(COLUMN, lowest=False))
