"""Damaged and hostile archives: each problem is one line, and the other images are kept."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from facebench.core.errors import InputError
from facebench.images.decoding import Limits, decode
from facebench.images.errors import ImageError
from facebench.images.image_set import ImageSet, read
from facebench.images.sources import npz
from tests.helpers.image_archives import files_of, write_parquet, write_tar, write_zip
from tests.helpers.paths import GOLDENS_FOLDER

FACES = GOLDENS_FOLDER / "images"


@pytest.fixture
def files() -> dict[str, bytes]:
    return {f"{i}.png": data for i, data in enumerate(list(files_of(FACES).values())[:4])}


def reason_of(images: ImageSet, index: int, limits: Limits | None = None) -> str:
    with pytest.raises(ImageError) as caught:
        read(images.items[index], limits or Limits())
    assert "\n" not in str(caught.value)
    return caught.value.reason


def test_a_damaged_member_of_a_zip_is_rejected_and_the_others_are_read(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    path = write_zip(tmp_path / "a.zip", files, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    place = data.find(files["2.png"]) + 200
    data[place] ^= 0xFF
    path.write_bytes(data)
    images = ImageSet.open(path)
    assert reason_of(images, 2) == "truncated"
    assert [read(images.items[i]) for i in (0, 1, 3)] == [files[f"{i}.png"] for i in (0, 1, 3)]


def test_a_zip_that_is_cut_short_is_one_line(tmp_path: Path, files: dict[str, bytes]) -> None:
    path = write_zip(tmp_path / "a.zip", files)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match="not a readable ZIP archive"):
        ImageSet.open(path)


def test_zip_bombs_are_rejected_before_they_are_decompressed(tmp_path: Path, files: dict[str, bytes]) -> None:
    bomb = b"P6\n60000 60000\n255\n" + bytes(2**22)
    images = ImageSet.open(write_zip(tmp_path / "a.zip", {**files, "bomb.ppm": bomb}))
    assert reason_of(images, 4, Limits(max_bytes=2**20)) == "too_large"
    with pytest.raises(ImageError, match="too_large"):
        decode(read(images.items[4]))


def test_a_member_that_is_larger_than_declared_is_damaged(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.ppm": bytes(2**20)})
    data = path.read_bytes()
    size = (2**20).to_bytes(4, "little")
    path.write_bytes(data.replace(size, (1000).to_bytes(4, "little")))
    assert reason_of(ImageSet.open(path), 0) == "truncated"


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "x/../../a.png", "C:/a.png"])
def test_paths_that_leave_the_archive_are_rejected(
    tmp_path: Path, files: dict[str, bytes], name: str
) -> None:
    every = {**files, name: files["0.png"]}
    for path in (write_zip(tmp_path / "a.zip", every), write_tar(tmp_path / "a.tar", every)):
        images = ImageSet.open(path)
        assert len(images) == 4
        assert [(entry.reason, entry.counts) for entry in images.rejected] == [("outside", True)]


def test_a_manifest_in_an_archive_cannot_leave_it(tmp_path: Path, files: dict[str, bytes]) -> None:
    table = b"image\n0.png\n../1.png\n7.png\n0.png\n"
    images = ImageSet.open(write_zip(tmp_path / "a.zip", {**files, "manifest.csv": table}))
    assert [item.name for item in images.items] == ["0.png"]
    assert [entry.reason for entry in images.rejected] == ["outside", "missing", "duplicate"]


def test_encrypted_members_are_unreadable(tmp_path: Path, files: dict[str, bytes]) -> None:
    path = write_zip(tmp_path / "a.zip", files)
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(mark) + offset] |= 1
    path.write_bytes(data)
    assert reason_of(ImageSet.open(path), 0) == "unreadable"


@pytest.mark.parametrize("damage", ["header", "cut", "no end"])
def test_damage_between_the_members_of_a_tar_is_one_line(
    tmp_path: Path, files: dict[str, bytes], damage: str
) -> None:
    path = write_tar(tmp_path / "a.tar", files)
    data = bytearray(path.read_bytes())
    second = 512 + -(-len(files["0.png"]) // 512) * 512
    if damage == "header":
        data[second + 3] ^= 0xFF
    path.write_bytes({"header": data, "cut": data[: second + 700], "no end": data[:second]}[damage])
    with pytest.raises(InputError, match="is damaged after") as caught:
        ImageSet.open(path)
    assert "\n" not in str(caught.value)


def test_a_compressed_tar_is_one_line(tmp_path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(tmp_path / "a.tar", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.png"), io.BytesIO())
    with pytest.raises(InputError, match="compressed TAR archive"):
        ImageSet.open(tmp_path / "a.tar")


def test_links_in_a_tar_are_rejected(tmp_path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        info = tarfile.TarInfo("0.png")
        info.size = len(files["0.png"])
        archive.addfile(info, io.BytesIO(files["0.png"]))
    images = ImageSet.open(tmp_path / "a.tar")
    assert [(entry.name, entry.reason) for entry in images.rejected] == [("link.png", "not_an_image")]


def test_damaged_columns_of_a_shard_are_one_line(tmp_path: Path, files: dict[str, bytes]) -> None:
    with pytest.raises(InputError, match=r"0.json is not a JSON object"):
        ImageSet.open(write_tar(tmp_path / "a.tar", {**files, "0.json": b"[1"}))
    labels = json.dumps({"labels": [1, 2]}).encode()
    with pytest.raises(InputError, match=r"dataset.json must hold"):
        ImageSet.open(write_zip(tmp_path / "a.zip", {**files, "dataset.json": labels}))


@pytest.mark.parametrize("shape", [(4, 32, 32), (4, 3, 32, 32), (4, 32, 32, 4)])
def test_arrays_of_another_shape_are_one_line(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.savez(tmp_path / "a.npz", np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match=r"\(n, h, w, 3\)"):
        ImageSet.open(tmp_path / "a.npz")


def test_arrays_of_another_type_are_one_line(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.zeros((2, 16, 16, 3), np.float32))
    with pytest.raises(InputError, match="float32"):
        ImageSet.open(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", mu=np.zeros(4), sigma=np.eye(4))
    with pytest.raises(InputError, match="holds statistics"):
        ImageSet.open(tmp_path / "b.npz")


def test_pickles_in_npz_files_are_never_loaded(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.array([{}], dtype=object), allow_pickle=True)
    images = io.BytesIO()
    np.lib.format.write_array(images, np.zeros((1, 16, 16, 3), np.uint8))
    write_zip(tmp_path / "a.npz", {"arr_0.npy": images.getvalue(), "arr_1.npy": stream.getvalue()})
    with pytest.raises(InputError, match="allow_pickle"):
        ImageSet.open(tmp_path / "a.npz")


def test_a_compressed_array_that_ends_early_rejects_the_missing_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez_compressed(tmp_path / "a.npz", rng.integers(0, 255, (6, 64, 64, 3), np.uint8))
    images = ImageSet.open(tmp_path / "a.npz")
    first = read(images.items[0])
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)
    (tmp_path / "a.npz").write_bytes(data)
    assert read(ImageSet.open(tmp_path / "a.npz").items[0]) == first
    assert reason_of(ImageSet.open(tmp_path / "a.npz"), 5) == "truncated"


def test_compressed_arrays_are_read_in_any_order_with_a_small_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npz, "WINDOW", 2 * 16 * 16 * 3)
    pixels = np.random.default_rng(0).integers(0, 255, (9, 16, 16, 3), np.uint8)
    np.savez_compressed(tmp_path / "a.npz", pixels)
    images = ImageSet.open(tmp_path / "a.npz")
    for index in (5, 4, 8, 0, 7, 7):
        assert np.array_equal(decode(read(images.items[index])), pixels[index])


def test_a_damaged_row_group_rejects_its_images(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", ImageSet.open(FACES), rows_per_group=32)
    images = ImageSet.open(path)
    data = bytearray(path.read_bytes())
    data[4:400] = bytes(396)
    path.write_bytes(data)
    assert reason_of(images, 0) == "truncated"
    assert read(images.items[40]) == images.items[40].content.read("", 2**30)
    path.write_bytes(data[:-10])
    with pytest.raises(InputError):
        ImageSet.open(path)


def test_an_archive_that_was_removed_is_missing(tmp_path: Path, files: dict[str, bytes]) -> None:
    for path in (write_zip(tmp_path / "a.zip", files), write_tar(tmp_path / "a.tar", files)):
        images = ImageSet.open(path)
        path.unlink()
        assert reason_of(images, 0) == "missing"


def test_items_of_archives_can_be_sent_to_another_process(tmp_path: Path, files: dict[str, bytes]) -> None:
    images = ImageSet.open(write_zip(tmp_path / "a.zip", files))
    assert read(pickle.loads(pickle.dumps(images.items[0]))) == files["0.png"]
