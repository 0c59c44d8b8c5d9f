"""`facebench buffers`: synthetic faces with exact buffers, and photos with networks of generated weights."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facebench.core.errors import InputError
from facebench.synthface import FaceModel, load_parameters
from facebench.training.rig.buffers import BufferSet, write_buffers
from facebench.training.rig.buffers.dataset import pictures_of
from facebench.training.rig.buffers.images import BufferImages, decode, encode, to_bytes
from facebench.training.rig.buffers.synthetic import SynthfaceSpace
from tests.helpers import flame_like
from tests.helpers.paper_weights import facebench, own_cache, put_in_place


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("faces") / "set"
    assert facebench("synth", out, "--identities", 3, "--images", 3, "--size", 48).code == 0
    return out


@pytest.fixture(scope="module")
def buffers(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> BufferSet:
    out = tmp_path_factory.mktemp("buffers") / "set"
    done = facebench("buffers", faces, "--out", out, "--size", 32)
    assert done.code == 0, done.text
    assert "9 faces of 32 pixels from synthface" in done.text
    assert "bytes per image" in done.text
    return BufferSet(out)


def test_buffers_equal_those_of_the_renderer_to_half_a_quantisation_step(
    buffers: BufferSet, faces: Path
) -> None:
    parameters = load_parameters(faces / "parameters.npz")
    exact = FaceModel().buffers(parameters.take([5]), 32)
    face = buffers.read(5)
    assert face.name == "images/id001/02.png"
    assert np.array_equal(face.image, exact.image[0])
    stored = face.fields["conditions"].astype(float)
    np.testing.assert_allclose(stored[:3].transpose(1, 2, 0) / 255, exact.rendered[0], atol=0.51 / 255)
    np.testing.assert_allclose((stored[3:6].transpose(1, 2, 0) - 128) / 127, exact.normal[0], atol=0.51 / 127)
    np.testing.assert_allclose(stored[6:].transpose(1, 2, 0) / 255, exact.albedo[0], atol=0.51 / 255)
    assert np.array_equal(buffers.codes["psi"][5], parameters.psi[5])


def test_encoding_and_decoding_a_face_is_lossless() -> None:
    rng = np.random.default_rng(0)
    photo, values = rng.integers(0, 256, (20, 20, 3), np.uint8), rng.random((3, 20, 20, 3), np.float32)
    conditions = to_bytes(BufferImages(values[0], values[1] * 2 - 1, values[2]), 1.0)
    decoded = decode(encode(photo, conditions), "face")
    assert np.array_equal(decoded[0], photo)
    assert np.array_equal(decoded[1], conditions)
    with pytest.raises(InputError, match="face: its buffers are damaged"):
        decode(encode(photo, conditions)[:40], "face")


def test_an_interrupted_run_continues_and_gives_the_same_bytes_on_this_machine(
    faces: Path, tmp_path: Path
) -> None:
    complete = write_buffers(faces, tmp_path / "complete", size=16)
    interrupted = tmp_path / "interrupted"
    write_buffers(faces, interrupted, size=16)
    (interrupted / "part-00000.npz").unlink()
    pictures_of(interrupted, 0).write_bytes(b"cut")
    with pytest.raises(InputError, match="is not finished: 1 of 1 parts"):
        BufferSet(interrupted)
    write_buffers(faces, interrupted, size=16)
    for path in complete.folder.iterdir():
        assert path.read_bytes() == (interrupted / path.name).read_bytes(), path.name


def test_other_buffers_in_the_folder_are_refused_with_both_values(buffers: BufferSet, faces: Path) -> None:
    done = facebench("buffers", faces, "--out", buffers.folder, "--size", 48)
    assert done.code == 2
    assert "size: 32 there; size: 48 here" in done.text


def test_an_album_has_its_mean_shape(faces: Path, tmp_path: Path) -> None:
    done = facebench("buffers", faces, "--out", tmp_path / "album", "--size", 16, "--mean-shape")
    assert done.code == 0, done.text
    album = BufferSet(tmp_path / "album")
    assert album.about.mean_shape
    beta = load_parameters(faces / "parameters.npz").beta
    for row in album.codes["beta"]:
        np.testing.assert_allclose(row, beta.astype(float).mean(axis=0), atol=1e-6)


def test_a_damaged_part_is_named(faces: Path, tmp_path: Path) -> None:
    buffers = write_buffers(faces, tmp_path / "set", size=16)
    path = pictures_of(buffers.folder, 0)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"part-00000\.npz is damaged \(the pictures are cut off\)"):
        BufferSet(buffers.folder)


@pytest.mark.parametrize("kept", [0, 10, 300])
def test_a_truncated_table_is_named(faces: Path, tmp_path: Path, kept: int) -> None:
    buffers = write_buffers(faces, tmp_path / "set", size=16)
    path = buffers.folder / "part-00000.npz"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"part-00000\.npz is damaged"):
        BufferSet(buffers.folder)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--source", "dekca"), "'dekca' is not an extractor. Did you mean deca or emoca?"),
        (("--source", "deca"), "flame"),
    ],
)
def test_an_unknown_or_incomplete_extractor_is_explained(
    faces: Path, words: tuple[str, ...], message: str
) -> None:
    with own_cache() as folder:
        done = facebench("buffers", faces, "--out", folder / "out", *words)
    assert done.code == 2
    assert message in done.text


def test_photos_without_parameters_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "photo.png")
    done = facebench("buffers", tmp_path, "--out", tmp_path / "out")
    assert done.code == 2
    assert "`facebench synth`" in done.text


def test_a_transfer_of_expression_keeps_all_other_codes(faces: Path) -> None:
    parameters = load_parameters(faces / "parameters.npz")
    onto, of = parameters.take([0]).arrays(), parameters.take([4]).arrays()
    space = SynthfaceSpace()
    smiling = space.transferred(onto, of, "expression")
    assert np.array_equal(smiling["psi"], of["psi"])
    for name in ("beta", "pose", "light", "lamps", "albedo", "camera"):
        assert np.array_equal(smiling[name], onto[name]), name


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Cache with generated encoder weights and a head of FLAME's structure, imported as a user would."""
    with own_cache() as folder:
        put_in_place(("emoca",), folder)
        model = flame_like.save(folder / "generic_model.pkl", flame_like.arrays())
        assert facebench("weights", "import", "flame", model).code == 0
        texture = flame_like.texture(folder / "FLAME_texture.npz")
        assert facebench("weights", "import", "flame-texture", texture).code == 0
        yield folder


def test_photos_get_buffers_and_images_without_a_face_are_listed(imported: Path, tmp_path: Path) -> None:
    model = FaceModel()
    for number, image in enumerate(model.render(model.sample(2, seed=3), 200)):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    Image.new("RGB", (200, 200), "grey").save(tmp_path / "empty.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = facebench("buffers", tmp_path, "--out", tmp_path / "out", "--source", "emoca", "--size", 64)
    assert done.code == 0, done.text
    assert "2 faces of 64 pixels" in done.text
    with (tmp_path / "out" / "skipped.csv").open() as file:
        assert [(row["image"], row["reason"]) for row in csv.DictReader(file)] == [
            ("broken.png", "truncated"),
            ("empty.png", "no_face"),
        ]
    buffers = BufferSet(tmp_path / "out")
    assert buffers.names == ["0.png", "1.png"]
    assert {name: array.shape[1:] for name, array in buffers.codes.items()} == {
        "shape": (100,), "tex": (50,), "exp": (50,), "pose": (6,), "cam": (3,), "light": (9, 3), "square": (3,),
    }  # fmt: skip
    assert json.loads((tmp_path / "out" / "buffers.json").read_text())["weights"].keys() == {
        "emoca", "flame", "flame-texture",
    }  # fmt: skip
    assert buffers.read(0).fields["conditions"].shape == (9, 64, 64)
