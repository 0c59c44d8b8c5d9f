"""`facebench align`: aligned faces keep their names and labels."""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image

from facebench.evaluation.input_sanity import jpeg_quality
from facebench.images.image_set import ImageSet
from tests.cli.conftest import succeed
from tests.helpers.paths import GOLDENS_FOLDER


def test_aligned_faces_have_the_requested_size(tmp_path: Path) -> None:
    succeed("align", GOLDENS_FOLDER / "images" / "a", tmp_path / "aligned", "--size", 64)
    assert {Image.open(path).size for path in (tmp_path / "aligned").rglob("*.png")} == {(64, 64)}


def test_aligned_faces_keep_the_columns_of_their_manifest(tmp_path: Path) -> None:
    succeed("synth", tmp_path / "faces", "--identities", 2, "--images", 2, "--size", 128)
    succeed("align", tmp_path / "faces", tmp_path / "aligned", "--size", 64)
    before, after = (ImageSet.open(tmp_path / name) for name in ("faces", "aligned"))
    assert [item.name for item in after.items] == [item.name for item in before.items]
    for column in ("identity", "expression", "valence"):
        assert after.column(column) == before.column(column)
        assert None not in after.column(column)


def test_renamed_faces_keep_the_name_of_their_image(tmp_path: Path) -> None:
    shutil.copytree(
        GOLDENS_FOLDER / "images" / "a", tmp_path / "in", ignore=lambda _, names: sorted(names)[3:]
    )
    first = min((tmp_path / "in").iterdir())
    Image.open(first).convert("RGB").save(first.with_suffix(".jpg"))
    succeed("align", tmp_path / "in", tmp_path / "out", "--size", 64)
    images = ImageSet.open(tmp_path / "out")
    originals = [name for name in images.column("original") if name is not None]
    assert sorted(originals) == sorted(file.name for file in (tmp_path / "in").iterdir())


def test_aligned_faces_can_be_compressed_alike(tmp_path: Path) -> None:
    succeed("synth", tmp_path / "faces", "--identities", 2, "--images", 1, "--size", 128)
    succeed("align", tmp_path / "faces", tmp_path / "aligned", "--size", 64, "--jpeg", 60)
    images = ImageSet.open(tmp_path / "aligned")
    assert len(images) == 2
    assert all(jpeg_quality(item.path.read_bytes()) == 60 for item in images.items)
    assert None not in images.column("identity")
