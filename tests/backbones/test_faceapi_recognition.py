"""FaceRecognitionNet gives the recorded answers of the package's own code, crop included."""

from __future__ import annotations

import numpy as np
import torch

from facebench import backbones
from facebench.backbones.crops import faceapi_square
from facebench.backbones.face_detection import FaceFinder, crop
from tests.helpers.golden_networks import Golden, read

GOLDEN = Golden("face_api")
NETWORK = backbones.build("faceapi-recognition")


def embed(crops: np.ndarray) -> dict[str, np.ndarray]:
    return NETWORK.embed(torch.stack([NETWORK.preprocess(crop) for crop in crops]))


def test_embeddings_equal_the_recorded_ones() -> None:
    answers = embed(GOLDEN["crops150"])
    raw = answers["embedding"] * answers["norm"][:, None]
    atol = GOLDEN.facts["tolerance"]["embeddings"]["atol"]
    np.testing.assert_allclose(raw, GOLDEN["embeddings"], rtol=0, atol=atol)
    np.testing.assert_allclose(np.linalg.norm(answers["embedding"], axis=1), 1, atol=1e-6)


def test_the_crop_of_an_image_equals_the_recorded_crop() -> None:
    finder = FaceFinder()
    for row, name in enumerate(GOLDEN.facts["images"]["files"]):
        image = read(name)
        face = finder.find(image)
        np.testing.assert_array_equal(crop("face150", image, face), GOLDEN["crops150"][row])


def test_the_square_puts_eyes_and_mouth_where_the_network_expects_them() -> None:
    landmarks = np.array([[30.0, 40.0], [70.0, 42.0], [50.0, 60.0], [35.0, 85.0], [65.0, 87.0]])
    square = faceapi_square(landmarks)
    four = landmarks[[0, 1, 3, 4]].mean(axis=0)
    assert np.allclose((four - (square.left, square.top)) / square.side, (0.5, 0.43))
    assert np.isclose(square.side, 45 / 0.45)


def test_images_of_one_person_are_closer_than_those_of_two() -> None:
    vectors = embed(GOLDEN["crops150"])["embedding"].astype(np.float64)
    people = np.array([name.split("/")[1].split("_")[0] for name in GOLDEN.facts["images"]["files"]])
    cosines = vectors @ vectors.T
    same = people[:, None] == people[None]
    assert cosines[same & ~np.eye(len(people), dtype=bool)].mean() > cosines[~same].mean()
