"""Faces are detected at every image size, and the most prominent one comes first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from facebench.backbones.face_alignment import TEMPLATE
from facebench.backbones.face_detection import Face, FaceFinder, prominence, similarity
from facebench.images.image_set import Image, ImageSet, decode, read
from tests.helpers.paths import GOLDENS_FOLDER

IMAGES = GOLDENS_FOLDER / "images"


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


@pytest.fixture(scope="module")
def faces() -> list[Image]:
    return [decode(read(item)) for item in ImageSet.open(IMAGES).items[::4]]


def centre(face: Face) -> np.ndarray:
    x, y, width, height = face.box
    return np.array([x + width / 2, y + height / 2])


def scaled(image: Image, factor: float) -> Image:
    filter_ = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=filter_))


def test_every_face_is_found_once_and_fits_the_template(finder: FaceFinder, faces: list[Image]) -> None:
    for image in faces:
        (face,) = finder.all(image)
        assert 0.8 < face.score <= 1
        matrix = similarity(face.landmarks)
        placed = face.landmarks @ matrix[:, :2].T + matrix[:, 2]
        assert np.abs(placed - TEMPLATE).max() < 12


def test_landmarks_are_ordered_from_left_to_right_in_the_image(
    finder: FaceFinder, faces: list[Image]
) -> None:
    for image in (faces[0], np.ascontiguousarray(faces[0][:, ::-1])):
        face = finder.find(image)
        assert face is not None
        assert face.landmarks.dtype == np.float32
        left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
        assert left_eye[0] < right_eye[0]
        assert left_mouth[0] < right_mouth[0]
        assert left_eye[1] < nose[1] < left_mouth[1]


@pytest.mark.parametrize("factor", [0.25, 0.5, 3.0])
def test_boxes_and_landmarks_are_in_pixels_of_the_image(
    finder: FaceFinder, faces: list[Image], factor: float
) -> None:
    image = faces[0]
    here, there = finder.find(image), finder.find(scaled(image, factor))
    assert here is not None
    assert there is not None
    assert np.abs(there.landmarks / factor - here.landmarks).mean() < 5
    assert np.abs(np.array(there.box) / factor - here.box).max() < 14


def test_images_without_faces_give_none(finder: FaceFinder) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    assert finder.find(noise) is None
    assert finder.all(np.zeros((16, 16, 3), np.uint8)) == []
    assert finder.find(np.zeros((3000, 16, 3), np.uint8)) is None


def on_canvas(size: tuple[int, int], *placed: tuple[Image, int, int]) -> Image:
    canvas = np.full((*size, 3), 90, np.uint8)
    for image, left, top in placed:
        canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas


def test_a_small_face_in_a_large_image_is_found_at_the_second_size(
    finder: FaceFinder, faces: list[Image]
) -> None:
    image = on_canvas((2000, 2600), (scaled(faces[0], 0.4), 1700, 800))
    assert finder._detect(image, 320 / 2600) == []
    face = finder.find(image)
    assert face is not None
    assert np.abs(centre(face) - [1750, 845]).max() < 20


def test_the_central_one_of_equal_faces_comes_first(finder: FaceFinder, faces: list[Image]) -> None:
    half = scaled(faces[0], 0.5)
    detected = finder.all(on_canvas((128, 640), (half, 0, 0), (half, 250, 0), (half, 500, 0)))
    assert len(detected) == 3
    assert abs(centre(detected[0])[0] - 314) < 10


def test_the_larger_one_of_equally_distant_faces_comes_first(finder: FaceFinder, faces: list[Image]) -> None:
    image = on_canvas((256, 640), (scaled(faces[0], 0.5), 64, 64), (faces[1], 384, 0))
    detected = finder.all(image)
    assert len(detected) == 2
    assert centre(detected[0])[0] > 320
    assert [prominence(face, image) for face in detected] == sorted(
        (prominence(face, image) for face in detected), reverse=True
    )


def test_prominence_is_size_weighted_by_closeness_to_the_centre() -> None:
    image = np.zeros((300, 400, 3), np.uint8)
    none = np.zeros((5, 2), np.float32)
    assert prominence(Face((180, 140, 40, 20), none, 1), image) == pytest.approx(np.sqrt(800))
    # Half as far out as the corner: half as prominent.
    assert prominence(Face((280, 215, 40, 20), none, 1), image) == pytest.approx(np.sqrt(800) / 2)
    assert prominence(Face((380, 290, 40, 20), none, 1), image) == pytest.approx(0, abs=1e-9)


def test_the_same_image_gives_the_same_face_in_every_thread(finder: FaceFinder, faces: list[Image]) -> None:
    alone = [finder.find(image) for image in faces]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(finder.find, faces * 2))
    for one, other in zip(alone * 2, together, strict=True):
        assert one is not None
        assert other is not None
        assert one.box == other.box
        assert one.score == other.score
        np.testing.assert_array_equal(one.landmarks, other.landmarks)


def test_the_detector_uses_the_official_file(finder: FaceFinder) -> None:
    assert finder.weights.verified
    assert finder.weights.sha256 == "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10"


def test_opencv_prints_nothing(capfd: pytest.CaptureFixture[str], faces: list[Image]) -> None:
    FaceFinder().find(faces[0])
    assert capfd.readouterr() == ("", "")
