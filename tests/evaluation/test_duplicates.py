"""Repeated pictures are counted with an example, and left out on request."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import facebench
from facebench.core.errors import InputError
from facebench.evaluation.duplicates import without_duplicates
from facebench.evaluation.plan import make_plan
from facebench.images.image_set import ImageSet
from tests.helpers.paths import GOLDENS_FOLDER

PICTURES = sorted((GOLDENS_FOLDER / "images" / "a").glob("*.png"))
OPTIONS = {"suite": "compact", "metrics": "face_found,fd_lite0"}


def make_set(folder: Path, **pictures: int) -> Path:
    """Write pictures by name, "person__image" or "image"; the number selects the picture."""
    for name, number in pictures.items():
        file = folder / f"{name.replace('__', '/')}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PICTURES[number], file)
    return folder


def names(images: ImageSet) -> list[str]:
    return [item.name for item in images.items]


def test_copies_are_counted_with_an_example_and_can_be_left_out(tmp_path: Path) -> None:
    generated = make_set(tmp_path / "g", a=0, b=1, c=0, d=0)
    run = facebench.evaluate(generated, metrics="face_found", suite="compact")
    (warning,) = [text for text in run.warnings if "duplicates" in text]
    assert "2 of 4 images are duplicates" in warning
    assert "a.png and c.png" in warning
    dropped = facebench.evaluate(generated, metrics="face_found", suite="compact", drop_duplicates=True)
    assert dropped.inputs["generated"].images == 2
    assert [file.name for file in dropped.inputs["generated"].rejected] == ["c.png", "d.png"]
    assert not [text for text in dropped.warnings if "duplicates" in text]


def test_a_picture_of_two_identities_is_named_and_left_out_of_both(tmp_path: Path) -> None:
    generated = make_set(tmp_path / "g", anna__1=0, anna__2=1, bert__1=0, bert__2=2)
    run = facebench.evaluate(generated, metrics="face_found", suite="compact")
    assert any(
        "1 pictures have several identities (first: anna/1.png and bert/1.png)" in w for w in run.warnings
    )
    left = without_duplicates({"generated": ImageSet.open(generated)})["generated"]
    assert names(left) == ["anna/2.png", "bert/2.png"]


def test_generated_pictures_in_the_reference_set_are_counted_and_left_out_there(tmp_path: Path) -> None:
    generated = make_set(tmp_path / "g", a=0, b=1, c=2)
    reference = make_set(tmp_path / "r", x=1, y=3, z=4)
    run = facebench.evaluate(generated, reference, **OPTIONS)
    assert any(
        "1 of 3 images of the role reference have the same content as a generated" in w for w in run.warnings
    )
    sets = {"generated": ImageSet.open(generated), "reference": ImageSet.open(reference)}
    left = without_duplicates(sets)
    assert names(left["generated"]) == ["a.png", "b.png", "c.png"]
    assert names(left["reference"]) == ["y.png", "z.png"]


def test_metrics_of_copies_keep_generated_pictures_in_the_training_set(tmp_path: Path) -> None:
    generated = make_set(tmp_path / "g", a=0, b=1, c=2)
    reference = make_set(tmp_path / "r", x=1, x2=1, y=3, z=4)
    sets = {"generated": ImageSet.open(generated), "reference": ImageSet.open(reference)}
    plans = {protocol: make_plan(protocol, "compact") for protocol in ("leakage", "quality")}
    left = {
        protocol: names(without_duplicates(sets, keep_copied=plan.finds_copies)["reference"])
        for protocol, plan in plans.items()
    }
    assert left == {"leakage": ["x.png", "y.png", "z.png"], "quality": ["y.png", "z.png"]}


def test_sets_without_repeated_pictures_have_no_warning(tmp_path: Path) -> None:
    run = facebench.evaluate(
        make_set(tmp_path / "g", a=0, b=1), make_set(tmp_path / "r", x=2, y=3), **OPTIONS
    )
    assert not [text for text in run.warnings if "same content" in text or "duplicates" in text]


def test_a_set_of_nothing_but_repeated_pictures_is_refused(tmp_path: Path) -> None:
    generated = make_set(tmp_path / "g", a=0, b=1)
    with pytest.raises(InputError, match="--drop-duplicates leaves no image"):
        facebench.evaluate(generated, generated, drop_duplicates=True, **OPTIONS)
