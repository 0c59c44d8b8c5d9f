"""LMDB databases of DiffAE and DiffusionRig-Emo are image sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.core.errors import InputError
from facebench.images.errors import ImageError
from facebench.images.image_set import ImageSet, read
from tests.helpers.image_archives import files_of, write_lmdb
from tests.helpers.paths import GOLDENS_FOLDER

lmdb = pytest.importorskip("lmdb", reason="the package lmdb is not installed")
FILES = dict(list(files_of(GOLDENS_FOLDER / "images").items())[:4])


@pytest.mark.parametrize("key", ["64-{:05d}", "image_{:06d}"])
def test_databases_hold_the_bytes_of_the_files(tmp_path: Path, key: str) -> None:
    images = ImageSet.open(write_lmdb(tmp_path / "faces", FILES, key))
    assert (images.kind, [item.name for item in images.items]) == (
        "lmdb",
        ["000000.png", "000001.png", "000002.png", "000003.png"],
    )
    assert [read(item) for item in images.items] == list(FILES.values())


def test_a_database_in_one_file_is_read(tmp_path: Path) -> None:
    folder = write_lmdb(tmp_path / "faces", FILES)
    (folder / "data.mdb").rename(tmp_path / "faces.lmdb")
    assert len(ImageSet.open(tmp_path / "faces.lmdb")) == 4


def test_missing_and_empty_values_are_rejected(tmp_path: Path) -> None:
    path = write_lmdb(tmp_path / "faces", {**FILES, "empty": b""})
    with lmdb.open(str(path), map_size=2**26) as database, database.begin(write=True) as transaction:
        transaction.delete(b"64-00002")
    images = ImageSet.open(path)
    for index, reason in ((2, "missing"), (4, "empty")):
        with pytest.raises(ImageError) as caught:
            read(images.items[index])
        assert caught.value.reason == reason
    assert read(images.items[3]) == list(FILES.values())[3]


@pytest.mark.parametrize("length", [b"", b"x", b"0", b"99999999999"])
def test_a_wrong_number_of_images_is_one_line(tmp_path: Path, length: bytes) -> None:
    path = write_lmdb(tmp_path / "faces", FILES)
    with lmdb.open(str(path), map_size=2**26) as database, database.begin(write=True) as transaction:
        transaction.put(b"length", length)
    with pytest.raises(InputError, match=r"key 'length'|states") as caught:
        ImageSet.open(path)
    assert "\n" not in str(caught.value)


def test_a_damaged_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.lmdb").write_bytes(b"no database" * 1000)
    with pytest.raises(InputError, match="not a readable LMDB database") as caught:
        ImageSet.open(tmp_path / "a.lmdb")
    assert "\n" not in str(caught.value)
