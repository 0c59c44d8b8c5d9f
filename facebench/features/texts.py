"""Comparison of image embeddings with texts of the manifest: the prompt of each image, or its surroundings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from facebench.backbones.clip_text import ClipText
from facebench.backbones.text_networks import IMAGES, TEXT_NETWORKS
from facebench.features.extraction import Extraction

PHRASE = "a photo of a person, {} background"
"""Text of a class of surroundings."""

Rows = npt.NDArray[np.float32]


def compare_texts(encoder: ClipText, generated: Extraction) -> None:
    """Add one number for each generated image that has a text and an embedding.

    `clip-prompt` adds `similarity`: the cosine of the image and its prompt. `clip-surroundings` adds `wanted`: 1 where
    the image is nearest to the text of its own surroundings among all surroundings of the set, else 0. Nothing is
    added when the column has too few different texts.

    Args:
        encoder: text encoder; its name selects the comparison.
        generated: holds the image embeddings; receives array, mask of valid rows and backbone.
    """
    column = TEXT_NETWORKS[encoder.name]
    texts = [(item.columns.get(column.name) or "").strip() for item in generated.items]
    known = generated.valid[IMAGES] & np.array([bool(text) for text in texts], dtype=np.bool_)
    rows = np.flatnonzero(known)
    if len({texts[row] for row in rows}) < column.smallest:
        return
    embeddings = generated.arrays[IMAGES]["embedding"][rows]
    own = [texts[row] for row in rows]
    array, values = (
        ("similarity", prompt_similarity(encoder, embeddings, own))
        if encoder.name == "clip-prompt"
        else ("wanted", nearest_is_own(encoder, embeddings, own))
    )
    numbers = np.full(len(texts), np.nan, dtype=np.float32)
    numbers[rows] = values
    generated.arrays[encoder.name], generated.valid[encoder.name] = {array: numbers}, known
    generated.backbones[encoder.name] = encoder


def prompt_similarity(encoder: ClipText, embeddings: Rows, prompts: Sequence[str]) -> Rows:
    """Cosine of each image and its prompt, in [-1, 1].

    Args:
        encoder: the text encoder.
        embeddings: (n, 768) image embeddings of unit length.
        prompts: n texts.
    """
    distinct, index = np.unique(np.array(prompts, dtype=object), return_inverse=True)
    rows = encoder.embed_texts(distinct.tolist())[index]
    return np.asarray((embeddings * rows).sum(axis=1))


def nearest_is_own(encoder: ClipText, embeddings: Rows, classes: Sequence[str]) -> Rows:
    """1 for each image whose own class has the nearest text among all classes, else 0.

    Args:
        encoder: the text encoder.
        embeddings: (n, 768) image embeddings of unit length.
        classes: n names of surroundings.
    """
    distinct, index = np.unique(np.array(classes, dtype=object), return_inverse=True)
    rows = encoder.embed_texts([PHRASE.format(name) for name in distinct])
    return np.asarray((embeddings @ rows.T).argmax(axis=1) == index, dtype=np.float32)
