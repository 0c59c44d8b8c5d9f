"""Shape of the source in a transfer: its own, its album's mean, or a file."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from facebench.core.errors import InputError
from facebench.images.image_set import ImageSet, Item
from facebench.training.rig.buffers.flame_codes import Codes
from facebench.training.rig.buffers.results import Found
from facebench.training.rig.transfer.shapes import read_shape, shapes_of_sources
from tests.helpers.lab_database import write_database

PHOTO = np.zeros((8, 8, 3), np.uint8)


class Flame:
    """The names of FLAME's space."""

    name = "flame"
    shape = ("shape",)


def images(identities: list[str | None]) -> ImageSet:
    items = [
        Item(Path(f"{i}.png"), f"{i}.png", {} if identity is None else {"identity": identity})
        for i, identity in enumerate(identities)
    ]
    return ImageSet(Path(), "manifest", tuple(items))


def found(values: list[float]) -> dict[str, Found]:
    codes: list[Codes] = [{"shape": np.full((1, 100), value), "exp": np.zeros((1, 50))} for value in values]
    return {f"{i}.png": Found(each, PHOTO) for i, each in enumerate(codes)}


def firsts(shapes: dict[str, Codes]) -> list[float]:
    return [float(shapes[name]["shape"][0, 0]) for name in sorted(shapes)]


def test_the_album_of_a_source_is_its_identity() -> None:
    faces = found([1.0, 3.0, 10.0])
    people = images(["ann", "ann", "bob"])
    assert firsts(shapes_of_sources("album", faces, people, Flame())) == [2.0, 2.0, 10.0]
    assert firsts(shapes_of_sources("album", faces, images([None, None, "bob"]), Flame())) == [14 / 3] * 3
    assert shapes_of_sources("own", faces, people, Flame()) == {}


def test_a_file_of_the_lab_is_the_shape_of_all_sources(tmp_path: Path) -> None:
    path = tmp_path / "mean_shape.pkl"
    path.write_bytes(pickle.dumps(torch.full((1, 100), 0.25)))
    assert firsts(shapes_of_sources(str(path), found([1.0, 2.0]), images(["a", "b"]), Flame())) == [
        0.25,
        0.25,
    ]
    album = write_database(tmp_path / "album", album=True)
    assert read_shape(album, Flame())["shape"].tolist() == [[0.5] * 100]


def test_what_holds_no_mean_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"album or mean shape .* does not exist"):
        read_shape(tmp_path / "eve", Flame())
    with pytest.raises(InputError, match=r"holds no mean_shape\.pkl"):
        read_shape(write_database(tmp_path / "ffhq"), Flame())

    class Synthface(Flame):
        name = "synthface"

    with pytest.raises(InputError, match="trained with synthface codes"):
        read_shape(write_database(tmp_path / "other" / "album", album=True), Synthface())
