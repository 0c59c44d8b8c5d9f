"""Halves of real sets."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from facebench.images.image_set import ImageSet
from facebench.studies.id_booth.image_sets import write_halves


def write(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(root / name)
    return root


def columns(folder: Path) -> list[tuple[str, str | None]]:
    images = ImageSet.open(folder)
    return [
        (item.name.removeprefix("real/"), name)
        for item, name in zip(images.items, images.column("identity"), strict=True)
    ]


def test_both_halves_show_the_same_people_on_different_images(tmp_path: Path) -> None:
    real = write(tmp_path / "tfd", "a/0.png", "a/1.png", "a/2.png", "b/0.png", "b/1.png", "c/0.png")
    assert write_halves(tmp_path / "halves", real)
    assert columns(tmp_path / "halves" / "first") == [("a/0.png", "a"), ("a/2.png", "a"), ("b/0.png", "b")]
    assert columns(tmp_path / "halves" / "second") == [("a/1.png", "a"), ("b/1.png", "b")]


def test_a_set_of_one_image_for_each_person_is_split_without_identities(tmp_path: Path) -> None:
    real = write(tmp_path / "ffhq", "a/0.png", "b/0.png", "c/0.png")
    assert write_halves(tmp_path / "halves", real)
    assert columns(tmp_path / "halves" / "first") == [("a/0.png", None), ("c/0.png", None)]
    assert columns(tmp_path / "halves" / "second") == [("b/0.png", None)]


def test_a_missing_set_and_a_single_image_are_not_split(tmp_path: Path) -> None:
    assert not write_halves(tmp_path / "halves", tmp_path / "nowhere")
    assert not write_halves(tmp_path / "halves", write(tmp_path / "one", "0.png"))
