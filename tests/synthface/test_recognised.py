"""Real networks take the rendered faces for faces, and the people for people."""

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
def drawn() -> Parameters:
    return FaceModel().sample(6 * IMAGES, seed=1, images=IMAGES)


@pytest.fixture(scope="module")
def pictures(drawn: Parameters) -> np.ndarray:
    return FaceModel().render(drawn, 112)


@pytest.fixture(scope="module")
def found(pictures: np.ndarray) -> list[Face | None]:
    finder = FaceFinder()
    return [finder.find(image) for image in pictures]


def embeddings(pictures: np.ndarray, found: list[Face | None]) -> np.ndarray:
    backbone = build("sface")
    crops = [align(i, f.landmarks) for i, f in zip(pictures, found, strict=True) if f is not None]
    rows = [backbone.embed(backbone.preprocess(crop)[None])["embedding"] for crop in crops]
    return np.concatenate(rows)


def scores(rows: np.ndarray, people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    upper = np.triu_indices(len(rows), 1)
    same = (people[:, None] == people[None])[upper]
    similarity = (rows @ rows.T)[upper]
    return similarity[same], similarity[~same]


def test_yunet_finds_every_face(found: list[Face | None]) -> None:
    assert all(face is not None and face.score > 0.8 for face in found)


def test_the_eyes_lie_side_by_side_above_the_mouth(found: list[Face | None]) -> None:
    for face in found:
        assert face is not None
        eyes, mouth = face.landmarks[:2], face.landmarks[3:]
        assert eyes[:, 1].max() < mouth[:, 1].min()
        assert eyes[0, 0] < eyes[1, 0]


def test_sface_tells_people_apart_until_they_drift(
    drawn, pictures: np.ndarray, found: list[Face | None]
) -> None:
    kept = verification(*scores(embeddings(pictures, found), drawn.identity))
    assert kept.eer < 0.08
    assert kept.fdr > 4
    strangers = FaceModel().render(identity_drift(drawn, 1.0, seed=3), 112)
    finder = FaceFinder()
    seen = [finder.find(image) for image in strangers]
    people = drawn.identity[[face is not None for face in seen]]
    lost = verification(*scores(embeddings(strangers, seen), people))
    assert lost.eer > 0.3
