"""Folders of the library datasets are image sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.core.errors import InputError
from facebench.images.errors import ImageError
from facebench.images.image_set import ImageSet, read
from tests.helpers.image_archives import write_dataset
from tests.helpers.paths import GOLDENS_FOLDER

datasets = pytest.importorskip("datasets", reason="the package datasets is not installed")
FACES = GOLDENS_FOLDER / "images"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("dataset") / "faces", ImageSet.open(FACES))


def test_a_saved_dataset_holds_images_and_columns(saved: Path) -> None:
    folder, images = ImageSet.open(FACES), ImageSet.open(saved)
    assert images.kind == "dataset"
    # The library keeps only the last part of a path.
    expected = sorted(
        (Path(item.name).name, sorted(item.columns.items()), read(item)) for item in folder.items
    )
    assert [(item.name, sorted(item.columns.items()), read(item)) for item in images.items] == expected


def test_selected_rows_and_class_labels_are_read_through_the_library(tmp_path: Path) -> None:
    data = [path.read_bytes() for path in sorted((FACES / "a").iterdir())[:3]]
    features = datasets.Features(
        image=datasets.Image(), expression=datasets.ClassLabel(names=["happy", "sad"])
    )
    made = datasets.Dataset.from_dict(
        {"image": [{"bytes": d} for d in data], "expression": [0, 1, 1]}, features
    )
    made.select([2, 0]).save_to_disk(str(tmp_path / "a"))
    images = ImageSet.open(tmp_path / "a")
    assert images.column("expression") == ["sad", "happy"]
    assert [read(item) for item in images.items] == [data[2], data[0]]


def test_one_split_is_opened_and_several_are_named(tmp_path: Path, saved: Path) -> None:
    made = datasets.load_from_disk(str(saved))
    datasets.DatasetDict(train=made).save_to_disk(str(tmp_path / "one"))
    assert len(ImageSet.open(tmp_path / "one")) == len(made)
    datasets.DatasetDict(train=made, test=made).save_to_disk(str(tmp_path / "two"))
    with pytest.raises(InputError, match="holds 2 splits"):
        ImageSet.open(tmp_path / "two")
    assert len(ImageSet.open(tmp_path / "two" / "test")) == len(made)


def test_damaged_folders_are_one_line(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "a", ImageSet.open(FACES))
    (arrow,) = path.glob("*.arrow")
    arrow.write_bytes(arrow.read_bytes()[:1000])
    with pytest.raises(InputError, match="not a readable dataset") as caught:
        ImageSet.open(path)
    assert "\n" not in str(caught.value)
    made = datasets.Dataset.from_dict({"text": ["a"]})
    made.save_to_disk(str(tmp_path / "b"))
    with pytest.raises(InputError, match="no column of images"):
        ImageSet.open(tmp_path / "b")


def test_cells_without_bytes_are_rejected(tmp_path: Path) -> None:
    data = next((FACES / "a").iterdir()).read_bytes()
    made = datasets.Dataset.from_dict(
        {"image": [data, b""]}, datasets.Features(image=datasets.Value("binary"))
    )
    made.save_to_disk(str(tmp_path / "a"))
    images = ImageSet.open(tmp_path / "a")
    assert read(images.items[0]) == data
    with pytest.raises(ImageError, match="empty"):
        read(images.items[1])
