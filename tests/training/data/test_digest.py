"""The digest of training images, and the notice of a resumed run."""

from __future__ import annotations

import shutil
from pathlib import Path

from facebench.training.data.digest import data_digest
from facebench.training.data.folders import FolderFaces
from facebench.training.data.sources import SynthfaceData, open_faces
from tests.helpers.image_files import encode, picture
from tests.helpers.tiny_training import MODEL, prepare, run


def write(folder: Path, count: int, shift: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        pixels = (picture(40, 40) + 9 * (number + shift)).astype("uint8")
        (folder / f"{number}.png").write_bytes(encode(pixels, "PNG"))
    return folder


def test_names_sizes_and_contents_enter_the_digest(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", 6)
    digest = data_digest(FolderFaces(folder, 16))
    assert data_digest(FolderFaces(folder, 32)) == digest
    assert data_digest(FolderFaces(shutil.copytree(folder, tmp_path / "b"), 16)) == digest
    (folder / "5.png").rename(folder / "6.png")
    assert data_digest(FolderFaces(folder, 16)) != digest


def test_renderings_are_compared_by_their_pixels() -> None:
    first, again, other = (
        open_faces(
            SynthfaceData(
                kind="synthface", identities=4, images=2, seed=seed, render=32, cache_renders=False
            ),
            16,
        )
        for seed in (1, 1, 2)
    )
    assert data_digest(first) == data_digest(again) != data_digest(other)


def test_a_resumed_run_notices_images_that_changed_under_the_same_names(tmp_path: Path) -> None:
    folder = write(tmp_path / "images", 6)
    settings = {"data": {"kind": "folder", "path": str(folder)}, "model": MODEL}
    messages: list[str] = []
    run(prepare("diffae", **settings, steps=2), tmp_path / "out", on_message=messages.append)
    run(prepare("diffae", **settings, steps=3), tmp_path / "out", on_message=messages.append)
    assert not [text for text in messages if "changed" in text]
    write(folder, 6, shift=3)
    run(prepare("diffae", **settings, steps=4), tmp_path / "out", on_message=messages.append)
    assert [text for text in messages if "the training images changed since the last checkpoint" in text]
