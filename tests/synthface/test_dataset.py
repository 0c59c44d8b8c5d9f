from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facebench.core.errors import InputError
from facebench.synthface import FaceModel, RenderOptions, degrade, load_parameters, write
from facebench.synthface import degradations as damage
from facebench.synthface.expressions import affect

SIZE = 48


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("set") / "faces", identities=3, images=4, size=SIZE, seed=5).parent


def digest(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_equal_arguments_write_identical_files(written: Path, tmp_path: Path) -> None:
    write(tmp_path / "again", identities=3, images=4, size=SIZE, seed=5, options=RenderOptions(workers=3))
    assert digest(tmp_path / "again") == digest(written)


def test_more_people_do_not_change_the_first_ones(written: Path, tmp_path: Path) -> None:
    write(tmp_path / "more", identities=4, images=4, size=SIZE, seed=5)
    original, more = digest(written), digest(tmp_path / "more")
    assert all(more[name] == original[name] for name in original if name.endswith(".png"))


def test_the_manifest_matches_the_parameters(written: Path) -> None:
    rows = list(csv.DictReader((written / "manifest.csv").open(encoding="utf-8")))
    faces = load_parameters(written / "parameters.npz")
    assert len(rows) == len(faces) == 12
    assert [r["identity"] for r in rows] == [f"id{i // 4:03d}" for i in range(12)]
    assert [r["expression"] for r in rows[:4]] == ["neutral", "happy", "sad", "angry"]
    for i, row in enumerate(rows):
        stated = affect(row["expression"], float(row["intensity"]))
        np.testing.assert_allclose([float(row["valence"]), float(row["arousal"])], stated, atol=1e-4)
        np.testing.assert_allclose(
            [float(row[n]) for n in ("yaw", "pitch", "roll")], faces.pose[i], atol=1e-4
        )
        with Image.open(written / row["image"]) as image:
            assert image.size == (SIZE, SIZE)


def test_the_parameters_reproduce_the_images(written: Path) -> None:
    faces = load_parameters(written / "parameters.npz")
    assert faces.beta.shape == (12, 129)
    assert faces.psi.shape == (12, 52)
    with Image.open(written / "images/id001/02.png") as image:
        np.testing.assert_array_equal(np.asarray(image), FaceModel().render(faces.take([6]), SIZE)[0])


def test_buffers_are_written_on_request_and_progress_counts(tmp_path: Path) -> None:
    calls: list[tuple[str, int, int | None]] = []
    options = RenderOptions(buffers=True, progress=lambda *call: calls.append(call))
    write(tmp_path / "b", identities=1, images=2, size=32, options=options)
    assert calls == [("rendering", 1, 2), ("rendering", 2, 2)]
    with np.load(tmp_path / "b/buffers/id000/01.npz", allow_pickle=False) as file:
        assert set(file.files) == {"normal", "albedo", "shading", "rendered", "mask"}
        buffers = FaceModel().buffers(load_parameters(tmp_path / "b/parameters.npz").take([1]), 32)
        np.testing.assert_allclose(file["normal"] / 255 * 2 - 1, buffers.normal[0], atol=0.005)


def test_only_the_requested_expressions_appear(tmp_path: Path) -> None:
    manifest = write(tmp_path / "c", identities=1, images=3, size=32, expressions=["happy", "sad"])
    rows = list(csv.DictReader(manifest.open(encoding="utf-8")))
    assert [r["expression"] for r in rows] == ["happy", "sad", "happy"]


def test_a_folder_that_is_not_empty_is_rejected(written: Path, tmp_path: Path) -> None:
    before = digest(written)
    with pytest.raises(InputError, match="not empty"):
        write(written, identities=1, images=1, size=32)
    assert digest(written) == before
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        write(tmp_path / "file", identities=1, images=1, size=32)
    with pytest.raises(InputError, match="Unknown expression"):
        write(tmp_path / "new", expressions=["glad"])
    assert not (tmp_path / "new").exists()


def test_a_file_without_face_parameters_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_parameters(tmp_path / "parameters.npz")
    np.savez(tmp_path / "parameters.npz", beta=np.zeros(3))
    with pytest.raises(InputError, match="does not hold"):
        load_parameters(tmp_path / "parameters.npz")


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return FaceModel().render(FaceModel().sample(3, seed=9), 64)


class TestDegradations:
    @pytest.mark.parametrize("kind", damage.ON_IMAGES)
    def test_quality_falls_as_strength_grows(self, images: np.ndarray, kind: str) -> None:
        error = []
        for strength in (0.0, 0.25, 0.5, 0.75, 1.0):
            damaged = damage.ON_IMAGES[kind](images, strength, 1)
            assert damaged.dtype == np.uint8
            assert damaged.shape == images.shape
            error.append(float(((damaged.astype(float) - images) ** 2).mean()))
        assert error[0] == 0
        assert np.all(np.diff(error) > 0)  # a larger error is a lower PSNR
        assert 10 * np.log10(255**2 / error[-1]) < 26

    def test_the_result_depends_only_on_the_seed(self, images: np.ndarray) -> None:
        one, same, other = (damage.noise(images, 0.5, s) for s in (1, 1, 2))
        np.testing.assert_array_equal(one, same)
        assert (one != other).any()

    def test_a_single_image_gives_the_same_result_as_a_batch(self, images: np.ndarray) -> None:
        np.testing.assert_array_equal(damage.blur(images[0], 0.4), damage.blur(images, 0.4)[0])

    def test_identity_drift_ends_at_strangers(self) -> None:
        faces = FaceModel().sample(6, seed=1, images=3)
        distances = [
            np.abs(damage.identity_drift(faces, s).beta - faces.beta).mean() for s in (0.0, 0.3, 0.6, 1.0)
        ]
        assert distances[0] == 0
        assert distances == sorted(distances)
        strangers = damage.identity_drift(faces, 1.0)
        assert not np.allclose(strangers.beta[0], strangers.beta[1])  # two images drift to two strangers
        np.testing.assert_array_equal(strangers.psi, faces.psi)
        np.testing.assert_array_equal(strangers.identity, faces.identity)

    def test_expressions_fade_to_neutral(self) -> None:
        faces = FaceModel().sample(3, seed=1)
        np.testing.assert_allclose(damage.expression_strength(faces, 0.25).psi, faces.psi * 0.75, rtol=1e-6)
        assert not damage.expression_strength(faces, 1.0).psi.any()

    def test_mode_collapse_reduces_the_number_of_people(self) -> None:
        faces = FaceModel().sample(60, seed=1)
        left = [len(np.unique(damage.mode_collapse(faces, s).beta[:, 0])) for s in (0.0, 0.5, 1.0)]
        assert left[0] == 60
        assert 25 < left[1] < 40
        assert left[2] == 3

    @pytest.mark.parametrize("kind", damage.KINDS)
    def test_a_degraded_copy_keeps_names_and_manifest(self, written: Path, tmp_path: Path, kind: str) -> None:
        manifest = degrade(tmp_path / "copy", written, kind, 0.8, seed=2)
        assert manifest.read_bytes() == (written / "manifest.csv").read_bytes()
        assert digest(tmp_path / "copy").keys() == digest(written).keys()
        before, after = digest(written), digest(tmp_path / "copy")
        assert any(before[name] != after[name] for name in before if name.endswith(".png"))

    def test_invalid_arguments_are_explained(self, images: np.ndarray, written: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="between 0 and 1"):
            damage.blur(images, 1.2)
        with pytest.raises(InputError, match="uint8"):
            damage.noise(images.astype(float), 0.5)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=r"Unknown degradation 'fog'.*Known: .*mode_collapse"):
            degrade(tmp_path / "x", written, "fog", 0.5)
        with pytest.raises(InputError, match="does not exist"):
            degrade(tmp_path / "x", tmp_path, "blur", 0.5)
        assert not (tmp_path / "x").exists()
