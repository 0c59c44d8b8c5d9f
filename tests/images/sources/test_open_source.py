"""The same images have the same names, columns and bytes in a folder and in every kind of archive."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from facebench.core.errors import InputError
from facebench.images.image_set import ImageSet, read
from tests.helpers.image_archives import (
    files_of,
    pixels_of,
    webdataset,
    write_parquet,
    write_ppm_folder,
    write_tar,
    write_zip,
)
from tests.helpers.paths import GOLDENS_FOLDER

FACES = GOLDENS_FOLDER / "images"


def contents(images: ImageSet) -> list[tuple[str, dict[str, str], bytes]]:
    return [(item.name, dict(item.columns), read(item)) for item in images.items]


@pytest.fixture(scope="module")
def folder() -> ImageSet:
    return ImageSet.open(FACES)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_of_a_folder_holds_its_images(tmp_path: Path, folder: ImageSet, compression: int) -> None:
    images = ImageSet.open(write_zip(tmp_path / "faces.zip", files_of(FACES), compression))
    assert (images.kind, contents(images)) == ("zip", contents(folder))


def test_a_top_folder_named_like_the_archive_and_system_files_are_left_out(
    tmp_path: Path, folder: ImageSet
) -> None:
    files = {f"faces/{name}": data for name, data in files_of(FACES).items()}
    files |= {"__MACOSX/faces/a/._x.png": b"x", "faces/.DS_Store": b"x"}
    images = ImageSet.open(write_zip(tmp_path / "faces.zip", files))
    assert contents(images) == contents(folder)
    assert images.rejected == ()


def test_a_tar_of_a_folder_holds_its_images(tmp_path: Path, folder: ImageSet) -> None:
    images = ImageSet.open(write_tar(tmp_path / "faces.tar", files_of(FACES)))
    assert (images.kind, contents(images)) == ("tar", contents(folder))


def test_webdataset_shards_hold_images_and_columns(tmp_path: Path, folder: ImageSet) -> None:
    members = list(webdataset(folder).items())
    write_tar(tmp_path / "0000.tar", dict(members[:60]))
    write_tar(tmp_path / "0001.tar", dict(members[60:]))
    (tmp_path / "README.md").write_text("shards")
    images = ImageSet.open(tmp_path)
    assert (images.kind, contents(images)) == ("tar", contents(folder))


def test_names_that_repeat_between_shards_begin_with_the_shard(tmp_path: Path) -> None:
    data = next(iter(files_of(FACES).values()))
    for shard in ("0000", "0001"):
        write_tar(tmp_path / f"{shard}.tar", {"1.png": data, "1.cls": b"7\n"})
    images = ImageSet.open(tmp_path)
    assert [item.name for item in images.items] == ["0000/1.png", "0001/1.png"]
    assert images.column("label") == ["7", "7"]


def test_parquet_files_hold_images_and_columns(tmp_path: Path, folder: ImageSet) -> None:
    images = ImageSet.open(write_parquet(tmp_path / "faces.parquet", folder))
    assert (images.kind, contents(images)) == ("parquet", contents(folder))


def test_class_labels_of_hugging_face_are_written_as_names(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = next(iter(files_of(FACES).values()))
    features = {"info": {"features": {"expression": {"names": ["happy", "sad"], "_type": "ClassLabel"}}}}
    table = pa.table({"image": [data, data], "expression": [1, 0], "score": [0.5, None]})
    pq.write_table(
        table.replace_schema_metadata({"huggingface": json.dumps(features)}), tmp_path / "a.parquet"
    )
    images = ImageSet.open(tmp_path / "a.parquet")
    assert [item.name for item in images.items] == ["000000", "000001"]
    assert images.column("expression") == ["sad", "happy"]
    assert images.column("score") == ["0.5", None]


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_arrays_hold_the_bytes_of_ppm_files(tmp_path: Path, save: object) -> None:
    pixels = pixels_of(FACES)
    folder = ImageSet.open(write_ppm_folder(tmp_path / "ppm", pixels))
    save(tmp_path / "a.npz", pixels)
    images = ImageSet.open(tmp_path / "a.npz")
    assert (images.kind, contents(images)) == ("npz", contents(folder))
    assert read(images.items[3]) == read(folder.items[3])  # again, in another order


def test_labels_of_npz_files_become_a_column(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.zeros((3, 16, 16, 3), np.uint8), np.array([2, 0, 1]))
    assert ImageSet.open(tmp_path / "a.npz").column("label") == ["2", "0", "1"]


def test_labels_of_stylegan_archives_become_a_column(tmp_path: Path) -> None:
    data = list(files_of(FACES).values())[:3]
    labels = {"labels": [["00000/img0.png", 6], ["00000/img1.png", [0, 0, 1]]]}
    files = {f"00000/img{i}.png": each for i, each in enumerate(data)}
    images = ImageSet.open(
        write_zip(tmp_path / "a.zip", {**files, "dataset.json": json.dumps(labels).encode()})
    )
    assert images.column("label") == ["6", "2", None]
    assert (images.columns, images.rejected) == (("label",), ())


def test_a_manifest_in_an_archive_names_images_and_links(tmp_path: Path) -> None:
    data = list(files_of(FACES).values())[:2]
    table = b"image,identity,source\nout/1.png,anna,in/1.png\n"
    files = {"out/1.png": data[0], "in/1.png": data[1], "manifest.csv": table}
    for path in (write_zip(tmp_path / "a.zip", files), write_tar(tmp_path / "a.tar", files)):
        images = ImageSet.open(path)
        assert images.column("identity") == ["anna"]
        sources, positions = images.linked("source")
        assert (read(sources.items[0]), positions) == (data[1], [0])


def test_the_identity_option_applies_to_archives(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "faces.zip", files_of(FACES))
    assert ImageSet.open(path, identities=False).columns == ()
    np.savez(tmp_path / "a.npz", np.zeros((3, 16, 16, 3), np.uint8))
    with pytest.raises(InputError, match="no column 'identity'"):
        ImageSet.open(tmp_path / "a.npz", identities=True)
