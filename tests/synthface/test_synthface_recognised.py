"""Pretrained networks detect the rendered faces and recognise the people."""

from __future__ import annotations

import numpy as np
import pytest

from facebench.backbones import build
from facebench.backbones.face_detection import Face, FaceFinder, align
from facebench.metrics import verification
from facebench.synthface import FaceModel, Parameters
from facebench.synthface.degradations import identity_drift

IMAGES = 8


@pytest.fixture(scope="module")
def parameters() -> Parameters:
    return FaceModel().sample(6 * IMAGES, seed=1, images=IMAGES)


@pytest.fixture(scope="module")
def images(parameters: Parameters) -> np.ndarray:
    return FaceModel().render(parameters, 112)


@pytest.fixture(scope="module")
def faces(images: np.ndarray) -> list[Face | None]:
    finder = FaceFinder()
    return [finder.find(image) for image in images]


def embeddings(images: np.ndarray, faces: list[Face | None]) -> np.ndarray:
    backbone = build("sface")
    crops = [align(i, f.landmarks) for i, f in zip(images, faces, strict=True) if f is not None]
    rows = [backbone.embed(backbone.preprocess(crop)[None])["embedding"] for crop in crops]
    return np.concatenate(rows)


def scores(rows: np.ndarray, people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    upper = np.triu_indices(len(rows), 1)
    same = (people[:, None] == people[None])[upper]
    similarity = (rows @ rows.T)[upper]
    return similarity[same], similarity[~same]


def test_yunet_detects_every_face(faces: list[Face | None]) -> None:
    assert all(face is not None and face.score > 0.8 for face in faces)


def test_the_landmarks_have_the_arrangement_of_a_face(faces: list[Face | None]) -> None:
    for face in faces:
        assert face is not None
        eyes, mouth = face.landmarks[:2], face.landmarks[3:]
        assert eyes[:, 1].max() < mouth[:, 1].min()
        assert eyes[0, 0] < eyes[1, 0]


def test_sface_separates_people_until_their_identity_drifts(
    parameters: Parameters, images: np.ndarray, faces: list[Face | None]
) -> None:
    original = verification(*scores(embeddings(images, faces), parameters.identity))
    assert original.eer < 0.08
    assert original.fdr > 4
    strangers = FaceModel().render(identity_drift(parameters, 1.0, seed=3), 112)
    finder = FaceFinder()
    detected = [finder.find(image) for image in strangers]
    people = parameters.identity[[face is not None for face in detected]]
    drifted = verification(*scores(embeddings(strangers, detected), people))
    assert drifted.eer > 0.3
