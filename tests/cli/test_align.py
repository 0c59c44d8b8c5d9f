"""`facebench align`: aligned faces keep their names and labels."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facebench.evaluation.input_sanity import jpeg_quality
from facebench.images.image_set import ImageSet
from facebench.synthface import FaceModel
from tests.cli.conftest import Command, succeed
from tests.helpers.golden_networks import Golden
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


def failure(facebench: Command, *words: object) -> str:
    """Run a command that must refuse its input, and return its message."""
    done = facebench(*words)
    assert done.returncode == 2
    return " ".join(done.stderr.split())


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Image.Image]:
    """Two rendered faces of 128 pixels."""
    model = FaceModel()
    return [Image.fromarray(image) for image in model.render(model.sample(2, seed=4), 128)]


@pytest.mark.parametrize(("template", "size"), [("arcface112", 112), ("ffhq256", 256), ("ffhq512", 512)])
def test_templates_have_their_size(
    template: str, size: int, facebench: Command, photographs: list[Image.Image], tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    photographs[0].save(tmp_path / "in" / "a.png")
    succeed("align", tmp_path / "in", tmp_path / "out", "--template", template)
    assert Image.open(tmp_path / "out" / "a.png").size == (size, size)
    error = failure(
        facebench, "align", tmp_path / "in", tmp_path / "again", "--template", template, "--size", 64
    )
    assert "Leave out --size or --template" in error


def test_arcface112_with_mtcnn_equals_the_crops_of_id_booths_script(tmp_path: Path) -> None:
    golden = Golden("mtcnn")
    (tmp_path / "in").mkdir()
    rows = [row for row, image in enumerate(golden.facts["images"]) if image["faces"]]
    for row in rows:
        file = GOLDENS_FOLDER / golden.facts["images"][row]["file"]
        shutil.copy(file, tmp_path / "in" / f"{row}{file.suffix}")
    succeed("align", tmp_path / "in", tmp_path / "out", "--template", "arcface112", "--detector", "mtcnn")
    for row in rows:
        crop = np.asarray(Image.open(tmp_path / "out" / f"{row}.png"), np.float64)
        assert np.abs(crop - golden[f"img{row}_aligned112"]).mean() < 1.0


def test_images_without_a_face_are_listed(photographs: list[Image.Image], tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    photographs[0].save(folder / "a.png")
    Image.new("RGB", (96, 96)).save(folder / "black.png")
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:200])
    succeed("align", folder, tmp_path / "out", "--size", 64)
    with (tmp_path / "out" / "not_aligned.csv").open() as file:
        reasons = {row["image"]: row["reason"] for row in csv.DictReader(file)}
    assert set(reasons) == {"black.png", "broken.png"}
    assert reasons["black.png"] == "no face was detected"
    assert [item.name for item in ImageSet.open(tmp_path / "out").items] == ["a.png"]
    assert not ImageSet.open(tmp_path / "out").rejected


def test_a_set_without_faces_is_an_error(facebench: Command, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGB", (96, 96)).save(tmp_path / "in" / "black.png")
    assert "no face was aligned" in failure(facebench, "align", tmp_path / "in", tmp_path / "out")


def test_affectnet_keeps_expression_valence_and_arousal(
    facebench: Command, photographs: list[Image.Image], tmp_path: Path
) -> None:
    root = tmp_path / "affectnet"
    (root / "Manually_Annotated_Images" / "7").mkdir(parents=True)
    for number, face in enumerate(photographs):
        face.save(root / "Manually_Annotated_Images" / "7" / f"{number}.jpg")
    (root / "training.csv").write_text(
        "subDirectory_filePath,expression,valence,arousal\n7/0.jpg,1,0.8,0.25\n7/1.jpg,6,-0.5,0.5\n7/lost.jpg,2,0,0\n"
    )
    succeed("align", root, tmp_path / "out", "--kind", "affectnet", "--template", "ffhq256")
    aligned = ImageSet.open(tmp_path / "out")
    assert aligned.column("expression") == ["happy", "angry"]
    assert [aligned.column(name) for name in ("valence", "arousal")] == [["0.8", "-0.5"], ["0.25", "0.5"]]
    assert '7/lost.jpg,"in the table, not on disk"' in (tmp_path / "out" / "not_aligned.csv").read_text()
    error = failure(facebench, "align", root, tmp_path / "val", "--kind", "affectnet", "--split", "val")
    assert "is not AffectNet's val set" in error


def test_tufts_is_aligned_as_downloaded(
    facebench: Command, photographs: list[Image.Image], tmp_path: Path
) -> None:
    folder = tmp_path / "tufts" / "TD_RGB_A_Set1" / "TD_RGB_A_Set1" / "12"
    folder.mkdir(parents=True)
    photographs[0].save(folder / "TD_RGB_A_1_2.jpg")
    succeed(
        "align", tmp_path / "tufts", tmp_path / "out", "--kind", "tufts-id-booth",
        "--template", "arcface112", "--detector", "mtcnn",
    )  # fmt: skip
    assert ImageSet.open(tmp_path / "out").column("identity") == ["12"]
    error = failure(
        facebench, "align", GOLDENS_FOLDER / "images" / "a", tmp_path / "none", "--kind", "tufts-id-booth"
    )
    assert "TD_RGB_A_Set1 to TD_RGB_A_Set4" in error
