"""Shipped autoencoder and directions: the claims of their card, on people outside the training set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facebench import backbones
from facebench.backbones.face_detection import FaceFinder, align
from facebench.training.data.synthetic import Population, SynthfaceFaces
from facebench.training.editing import directions as files
from facebench.training.editing.autoencoder import Autoencoder, Latents, Steps
from facebench.training.models.load import open_autoencoder

UNSEEN_SEED = 7
"""Seed of people that neither the training nor the card used."""
CARD_THRESHOLD = 0.694
"""Similarity at a false match rate of 0.1 %, from the card."""


@pytest.fixture(scope="module")
def autoencoder() -> Autoencoder:
    return Autoencoder(open_autoencoder(Path("diffae-64-synthface")), Steps(10, 10))


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    people = SynthfaceFaces(
        64, Population(4, 1, seed=UNSEEN_SEED, expressions=("neutral",)), render=128, align=True
    )
    return np.stack([people.read(index).image for index in range(4)])


def embeddings(images: np.ndarray) -> np.ndarray:
    finder, sface = FaceFinder(), backbones.build("sface")
    crops = [align(image, finder.find(image).landmarks) for image in images]
    raw = np.concatenate([sface.embed(sface.preprocess(crop)[None])["embedding"] for crop in crops])
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def valences(images: np.ndarray) -> np.ndarray:
    finder, reader = FaceFinder(), backbones.build("facereader")
    crops = [align(image, finder.find(image).landmarks) for image in images]
    return np.concatenate([reader.embed(reader.preprocess(crop)[None])["valence"].ravel() for crop in crops])


def test_reconstructions_keep_the_identity(autoencoder: Autoencoder, faces: np.ndarray) -> None:
    scores = embeddings(faces) @ embeddings(autoencoder.render(autoencoder.encode(faces))).T
    genuine, impostor = np.diag(scores), scores[~np.eye(len(faces), dtype=bool)]
    assert genuine.min() > impostor.max()
    assert genuine.min() > CARD_THRESHOLD


def test_stronger_edits_change_more_pixels(autoencoder: Autoencoder, faces: np.ndarray) -> None:
    directions = files.read(Path("directions-64-synthface"))
    assert {"happy", "angry", "valence", "arousal"} <= set(directions.attributes)
    latents = autoencoder.encode(faces)
    unedited = autoencoder.render(latents).astype(float)
    changes = [
        np.abs(
            autoencoder.render(Latents(directions.edit(latents.z_sem, "angry", strength), latents.x_T))
            - unedited
        ).mean()
        for strength in (0.6, 1.2)
    ]
    assert 0 < changes[0] < changes[1]


def test_edits_move_valence_in_their_direction_and_keep_the_identity(
    autoencoder: Autoencoder, faces: np.ndarray
) -> None:
    directions, latents = files.read(Path("directions-64-synthface")), autoencoder.encode(faces)
    source, unedited = embeddings(faces), valences(autoencoder.render(latents))
    for expression, sign in (("happy", 1), ("angry", -1)):
        edited_z = directions.edit(latents.z_sem, expression, 1.0)
        edits = autoencoder.render(Latents(edited_z, latents.x_T))
        change = sign * (valences(edits) - unedited)
        assert change.min() > 0
        assert change.mean() > 0.15
        assert (source * embeddings(edits)).sum(axis=1).mean() > CARD_THRESHOLD
