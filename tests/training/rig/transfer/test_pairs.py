"""Pairs of images: manifests, automatic pairing, random pairs, and columns of the transfers."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from facebench.core.errors import InputError
from facebench.images.image_set import ImageSet
from facebench.training.rig.transfer.pairs import (
    described,
    draw_pairs,
    pair_up,
    read_pairs,
    refuse_same,
    write_pairs,
)


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    """Two people with a neutral and a happy image each."""
    folder = tmp_path / "set"
    folder.mkdir()
    lines = ["image,identity,expression,age"]
    for person, age in (("ann", 0.1), ("bob", 0.9)):
        for expression in ("happy", "neutral"):
            name = f"{person}-{expression}.png"
            Image.new("RGB", (32, 32)).save(folder / name)
            lines.append(f"{name},{person},{expression},{age}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return ImageSet.open(folder)


def test_written_pairs_can_be_read(images: ImageSet, tmp_path: Path) -> None:
    pairs = draw_pairs(images, images, 4, seed=1)
    write_pairs(tmp_path / "pairs.csv", pairs)
    read = read_pairs(tmp_path / "pairs.csv", images, images)
    assert [(pair.source, pair.target) for pair in read] == [(pair.source, pair.target) for pair in pairs]


def test_drawn_pairs_differ_in_person_and_expression(images: ImageSet) -> None:
    for pair in draw_pairs(images, images, 8, seed=0):
        for column in ("identity", "expression"):
            assert pair.source.columns[column] != pair.target.columns[column]


def test_a_missing_image_is_named_with_close_names(images: ImageSet, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("source,target\nann-hapy.png,bob-neutral.png\n")
    with pytest.raises(
        InputError,
        match=r"line 2: .* does not contain the image 'ann-hapy\.png'.*Did you mean ann-happy\.png",
    ):
        read_pairs(tmp_path / "pairs.csv", images, images)


def test_equal_sets_are_paired_in_order_and_same_images_are_refused(images: ImageSet) -> None:
    pairs = pair_up(images, images)
    assert [pair.source for pair in pairs] == list(images.items)
    with pytest.raises(InputError, match="4 of 4 pairs have the same image"):
        refuse_same(pairs)


def test_columns_come_from_the_source_the_target_and_the_manifest(images: ImageSet, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("source,target,age,take\nann-neutral.png,bob-happy.png,old,1\n")
    (pair,) = read_pairs(tmp_path / "pairs.csv", images, images)
    assert described(pair, "expression") == {
        "identity": "ann", "age": "old", "expression": "happy", "take": "1",
    }  # fmt: skip
    assert described(pair, "light")["expression"] == "neutral"
