"""The autoencoder and the directions that come with facebench do what their card says, on people they never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facebench import backbones
from facebench.backbones.face_detection import FaceFinder, align
from facebench.training.data.synthetic import SynthfaceFaces
from facebench.training.editing import directions as files
from facebench.training.editing.autoencoder import Autoencoder, Codes, Steps
from facebench.training.models.load import open_diffae

STRANGERS = 7
"""Seed of people that neither training nor the card has seen."""


@pytest.fixture(scope="module")
def autoencoder() -> Autoencoder:
    return Autoencoder(open_diffae(Path("diffae-64-synthface")), Steps(10, 10))


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    made = SynthfaceFaces(64, 4, 1, seed=STRANGERS, expressions=("neutral",), render=128, align=True)
    return np.stack([made.read(index).image for index in range(4)])


def embeddings(images: np.ndarray) -> np.ndarray:
    finder, sface = FaceFinder(), backbones.build("sface")
    crops = [align(image, finder.find(image).landmarks) for image in images]
    found = np.concatenate([sface.embed(sface.preprocess(crop)[None])["embedding"] for crop in crops])
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def valences(images: np.ndarray) -> np.ndarray:
    finder, reader = FaceFinder(), backbones.build("facereader")
    crops = [align(image, finder.find(image).landmarks) for image in images]
    return np.concatenate([reader.embed(reader.preprocess(crop)[None])["valence"].ravel() for crop in crops])


def test_a_stranger_is_recognised_after_encoding_and_rendering(
    autoencoder: Autoencoder, faces: np.ndarray
) -> None:
    scores = embeddings(faces) @ embeddings(autoencoder.render(autoencoder.encode(faces))).T
    genuine, impostor = np.diag(scores), scores[~np.eye(len(faces), dtype=bool)]
    assert genuine.min() > impostor.max()
    assert genuine.min() > 0.694  # the card's threshold at a false match rate of 0.1 %


def test_an_edit_changes_the_face_more_the_stronger_it_is_and_nothing_at_strength_zero(
    autoencoder: Autoencoder, faces: np.ndarray
) -> None:
    found = files.read(Path("directions-64-synthface"))
    assert {"happy", "angry", "valence", "arousal"} <= set(found.attributes)
    codes = autoencoder.encode(faces)
    unedited = autoencoder.render(codes).astype(float)
    changes = [
        np.abs(
            autoencoder.render(Codes(found.edit(codes.z_sem, "angry", strength), codes.x_T)) - unedited
        ).mean()
        for strength in (0.0, 0.6, 1.2)
    ]
    assert changes[0] == 0 < changes[1] < changes[2]


def test_edits_move_valence_the_right_way_and_keep_the_person(
    autoencoder: Autoencoder, faces: np.ndarray
) -> None:
    found, codes = files.read(Path("directions-64-synthface")), autoencoder.encode(faces)
    source, unedited = embeddings(faces), valences(autoencoder.render(codes))
    for expression, sign in (("happy", 1), ("angry", -1)):
        edits = autoencoder.render(Codes(found.edit(codes.z_sem, expression, 1.0), codes.x_T))
        change = sign * (valences(edits) - unedited)
        assert change.min() > 0
        assert change.mean() > 0.15
        assert (source * embeddings(edits)).sum(axis=1).mean() > 0.694
