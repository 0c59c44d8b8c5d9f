"""Training data: deterministic by index, published layouts, and errors for missing files."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facebench.backbones.face_detection import FaceFinder
from facebench.core.errors import InputError
from facebench.images.decoding import ImageError
from facebench.synthface import FaceModel
from facebench.training.data import FolderFaces, Population, SynthfaceFaces, rows_of_step
from facebench.training.data.datasets import affectnet, celebahq, ffhq, tufts, tufts_id_booth
from facebench.training.data.lmdb import LmdbFaces, write_lmdb
from tests.helpers.image_files import encode, picture


def save(path: Path, value: int = 0, size: int = 16) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size, size, 3), value, np.uint8)).save(path)


def test_each_epoch_is_another_permutation_of_all_images() -> None:
    indices = np.concatenate([rows_of_step(10, 4, seed=3, step=step) for step in range(5)])
    assert sorted(indices[:10]) == sorted(indices[10:]) == list(range(10))
    assert list(indices[:10]) != list(indices[10:])


def test_the_images_of_a_step_depend_on_seed_and_step_only() -> None:
    assert rows_of_step(1000, 8, seed=1, step=77).tolist() == rows_of_step(1000, 8, seed=1, step=77).tolist()
    assert rows_of_step(1000, 8, seed=1, step=77).tolist() != rows_of_step(1000, 8, seed=2, step=77).tolist()


def test_synthetic_faces_equal_the_renderings_with_and_without_cache(tmp_path: Path) -> None:
    uncached = SynthfaceFaces(32, Population(3, 2, seed=5, start=4))
    cached = SynthfaceFaces(32, Population(3, 2, seed=5, start=4), cache=tmp_path)
    model = FaceModel()
    for index in (0, 3, 3):
        expected = model.render(model.sample(1, 5, images=2, start=8 + index), 32)[0]
        assert np.array_equal(uncached.read(index).image, expected)
        assert np.array_equal(cached.read(index).image, expected)
    again = pickle.loads(pickle.dumps(cached))  # as in a worker process
    assert np.array_equal(again.read(3).image, expected)


def test_a_larger_rendering_is_averaged_to_the_size(tmp_path: Path) -> None:
    large = SynthfaceFaces(64, Population(1, 1, seed=5)).read(0).image.astype(float)
    small = SynthfaceFaces(32, Population(1, 1, seed=5), render=64).read(0).image
    mean = large.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(small - mean).max() <= 0.5
    with pytest.raises(InputError, match="not a multiple"):
        SynthfaceFaces(48, Population(1, 1), render=64)


def test_aligned_synthetic_faces_fill_the_image_with_and_without_cache(tmp_path: Path) -> None:
    options = {"people": Population(2, 2, seed=5), "render": 128, "align": True}
    uncached, cached = SynthfaceFaces(48, **options), SynthfaceFaces(48, **options, cache=tmp_path)
    finder = FaceFinder()
    for index in range(4):
        face = uncached.read(index)
        for _ in range(2):
            assert np.array_equal(cached.read(index).image, face.image)
        large = np.asarray(Image.fromarray(face.image).resize((192, 192)))
        eyes = finder.find(large).landmarks[:2].mean(axis=0) / 192
        assert np.abs(eyes - [0.5, 0.47]).max() < 0.08
    assert not np.array_equal(
        uncached.read(0).image, SynthfaceFaces(64, **{**options, "align": False}).read(0).image
    )


def test_the_faces_of_a_pair_differ_in_expression_only(tmp_path: Path) -> None:
    options = {"people": Population(2, 4, seed=5), "render": 128, "align": True}
    alone, pairs = SynthfaceFaces(48, **options), SynthfaceFaces(48, **options, pairs=True)
    cached = SynthfaceFaces(48, **options, pairs=True, cache=tmp_path)
    all_parameters = pairs.all_parameters()
    for index in range(8):
        parameters, unpaired = pairs.parameters(index), alone.parameters(index)
        changed = {
            name
            for name, array in parameters.arrays().items()
            if not np.array_equal(array, unpaired.arrays()[name])
        }
        assert all(
            np.array_equal(array[index], parameters.arrays()[name][0])
            for name, array in all_parameters.arrays().items()
        )
        assert not changed & {"psi", "expression", "intensity"}
        assert bool(changed) == bool(index % 2)
        assert np.array_equal(cached.read(index).image, pairs.read(index).image)
    for index in range(0, 8, 2):
        first, other = pairs.read(index).image.astype(float), pairs.read(index + 1).image.astype(float)
        change = np.abs(other - first).mean(axis=2)
        assert change.max() > 10
        assert change[:6].mean() < 0.5  # forehead, hair and background do not change
    assert np.array_equal(pairs.read(2).image, alone.read(2).image)
    with pytest.raises(InputError, match="cannot be paired"):
        SynthfaceFaces(48, Population(2, 3), pairs=True)


def test_a_rendering_without_detected_face_raises_on_every_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FaceFinder, "find", lambda self, image: None)
    faces = SynthfaceFaces(48, Population(1, 1, seed=5), render=128, align=True, cache=tmp_path)
    for _ in range(2):
        with pytest.raises(ImageError, match="person 0 image 0: no_face"):
            faces.read(0)


def test_a_manifest_provides_identity_expression_and_affect(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        save(tmp_path / name)
    (tmp_path / "manifest.csv").write_text(
        "image,identity,expression,valence,arousal\na.png,eve,happy,0.5,0.1\nb.png,bob,sad,-0.5,0\nc.png,eve,,,\n"
    )
    faces = FolderFaces(tmp_path, 16)
    rows = [faces.read(index).fields for index in range(3)]
    assert faces.people == ("bob", "eve")
    assert faces.expressions == ("happy", "sad")
    assert [int(row["identity"]) for row in rows] == [1, 0, 1]
    assert [int(row["expression"]) for row in rows] == [0, 1, -1]
    assert [float(row["valence"]) for row in rows[:2]] == [0.5, -0.5]
    assert np.isnan(rows[2]["valence"])


def test_a_label_that_is_not_a_number_is_reported_with_its_image(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "manifest.csv").write_text("image,valence\na.png,high\n")
    with pytest.raises(InputError, match=r"a\.png: the column 'valence' holds 'high'"):
        FolderFaces(tmp_path, 16)


def test_a_diffae_database_returns_the_images_that_were_written(tmp_path: Path) -> None:
    pixels = [np.random.default_rng(i).integers(256, size=(16, 16, 3), dtype=np.uint8) for i in range(3)]
    path = tmp_path / "faces.lmdb"
    assert write_lmdb(path, 16, (encode(each, "PNG") for each in pixels)) == 3
    faces = LmdbFaces(path, 16)
    assert len(faces) == 3
    assert all(np.array_equal(pickle.loads(pickle.dumps(faces)).read(i).image, pixels[i]) for i in range(3))


def test_databases_of_another_layout_are_refused(tmp_path: Path) -> None:
    import lmdb

    with (
        lmdb.open(str(tmp_path / "other.lmdb"), map_size=2**20) as database,
        database.begin(write=True) as writing,
    ):
        writing.put(b"hello", b"world")
    with pytest.raises(InputError, match="not a DiffAE database"):
        LmdbFaces(tmp_path / "other.lmdb", 16)
    (tmp_path / "text.lmdb").write_text("no database")
    with pytest.raises(InputError, match="not a readable LMDB"):
        LmdbFaces(tmp_path / "text.lmdb", 16)


def test_ffhq_is_found_with_and_without_sub_folders(tmp_path: Path) -> None:
    save(tmp_path / "images1024x1024" / "00000" / "00000.png")
    save(tmp_path / "images1024x1024" / "01000" / "01000.png")
    assert [item.path.stem for item in ffhq(tmp_path).items] == ["00000", "01000"]


def test_celebahq_provides_attributes(tmp_path: Path) -> None:
    save(tmp_path / "CelebA-HQ-img" / "0.jpg")
    save(tmp_path / "CelebA-HQ-img" / "1.jpg")
    (tmp_path / "CelebAMask-HQ-attribute-anno.txt").write_text("2\nSmiling Young\n0.jpg  1 -1\n1.jpg -1 -1\n")
    faces = FolderFaces(celebahq(tmp_path), 16)
    assert faces.attributes == ("Smiling", "Young")
    assert [faces.read(i).fields["attributes"].tolist() for i in range(2)] == [[True, False], [False, False]]


def test_affectnet_is_read_in_both_layouts(tmp_path: Path) -> None:
    folders, table = tmp_path / "folders", tmp_path / "table"
    for number, (expression, valence) in enumerate([(1, 0.8), (6, -0.5), (10, -2.0)]):
        save(folders / "train_set" / "images" / f"{number}.jpg")
        save(table / "Manually_Annotated_Images" / "7" / f"{number}.jpg")
        notes = folders / "train_set" / "annotations"
        notes.mkdir(exist_ok=True)
        for name, value in (("exp", expression), ("val", valence), ("aro", 0.25 if valence > -2 else -2)):
            np.save(notes / f"{number}_{name}.npy", value)
    (table / "training.csv").write_text(
        "subDirectory_filePath,expression,valence,arousal\n7/0.jpg,1,0.8,0.25\n7/1.jpg,6,-0.5,0.25\n7/2.jpg,10,-2,-2\n"
    )
    for root in (folders, table):
        images = affectnet(root)
        assert images.column("expression") == ["happy", "angry"]
        assert [float(value or "nan") for value in images.column("valence")] == [0.8, -0.5]
    (folders / "train_set" / "annotations" / "0_val.npy").unlink()
    with pytest.raises(InputError, match=r"1 images have no annotations/\*_val\.npy"):
        affectnet(folders)


def test_tufts_provides_identities_and_expressions(tmp_path: Path) -> None:
    for person in ("1", "2"):
        for number in range(1, 6):
            save(tmp_path / "TD_RGB_E_Set1" / person / f"TD_RGB_E_{number}.jpg")
    images = tufts(tmp_path)
    assert set(images.column("identity")) == {"1", "2"}
    assert images.column("expression")[:5] == ["neutral", "happy", "eyes_closed", "shocked", "sunglasses"]


def write_tufts_poses(root: Path, shots: range, poses: range, name: str) -> None:
    """Empty images of four people; the selection reads names only."""
    for person in range(1, 5):
        folder = root / f"TD_RGB_A_Set{person}" / str(person)
        folder.mkdir(parents=True)
        for shot in shots:
            for pose in poses:
                (folder / name.format(shot=shot, pose=pose)).touch()


@pytest.mark.parametrize(
    ("name", "column"),
    [("TD_RGB_A_{shot}_{pose}.jpg", "second_number"), ("TD_RGB_A_{pose}_{shot}.jpg", "first_number")],
)
def test_the_poses_of_tufts_are_the_number_that_selects_as_many_images_as_id_booth(
    name: str, column: str, tmp_path: Path
) -> None:
    write_tufts_poses(tmp_path, range(1, 4), range(9), name)
    images = tufts_id_booth(tmp_path)
    assert len(images) == 4 * 3 * 7
    assert set(images.column(column)) == set("1234567")
    assert set(images.column("identity")) == set("1234")
    (warning,) = images.warnings
    assert "84 of 108 images of 4 people" in warning
    assert "selection is not published" in warning


def test_tufts_without_poses_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "TD_RGB_E_Set1" / "1" / "TD_RGB_E_1.jpg")
    with pytest.raises(InputError, match="TD_RGB_E alone lacks the poses"):
        tufts_id_booth(tmp_path)


@pytest.mark.parametrize("layout", [ffhq, celebahq, affectnet, tufts, tufts_id_booth])
def test_folders_of_another_layout_are_refused_with_the_expected_layout(
    layout: Callable[[Path], object], tmp_path: Path
) -> None:
    (tmp_path / "holiday.png").write_bytes(encode(picture(), "PNG"))
    with pytest.raises(InputError, match="Expected"):
        layout(tmp_path)
