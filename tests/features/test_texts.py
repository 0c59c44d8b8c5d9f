"""Comparison of images with texts, with the embeddings of other texts in place of those of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from facebench.backbones.clip_text import ClipText, build_text, text_tower
from facebench.backbones.text_networks import IMAGES
from facebench.backbones.weights import WeightsSource
from facebench.features.extraction import Extraction
from facebench.features.texts import PHRASE, compare_texts
from facebench.images.image_set import Item

PLACES = ["beach", "office", "forest", "beach", "", "office"]


def encoder(name: str) -> ClipText:
    torch.manual_seed(0)
    return build_text(name, WeightsSource.of(IMAGES, text_tower().state_dict()))


def extraction(column: str, texts: list[str], embeddings: np.ndarray) -> Extraction:
    items = tuple(Item(Path(f"{row}.png"), f"{row}.png", {column: text}) for row, text in enumerate(texts))
    n = len(items)
    return Extraction(
        items=items, rejected=(), sha256=["0" * 64] * n, sizes=np.ones((n, 2), np.int64), faces=[None] * n,
        arrays={IMAGES: {"embedding": embeddings}}, valid={IMAGES: np.arange(n) != 1}, backbones={}, timings={},
        digest="",
    )  # fmt: skip


def test_images_at_their_prompt_have_similarity_one_and_rows_without_text_or_embedding_none() -> None:
    text = encoder("clip-prompt")
    generated = extraction("prompt", PLACES, text.embed_texts(PLACES))
    compare_texts(text, generated)
    similarity, valid = generated.arrays["clip-prompt"]["similarity"], generated.valid["clip-prompt"]
    assert valid.tolist() == [True, False, True, True, False, True]
    np.testing.assert_allclose(similarity[valid], 1, atol=1e-6)
    assert np.isnan(similarity[~valid]).all()


def test_the_nearest_surroundings_decide() -> None:
    text = encoder("clip-surroundings")
    shown = [
        "beach",
        "office",
        "office",
        "beach",
        "beach",
        "office",
    ]  # row 2 shows another place than asked for
    generated = extraction(
        "surroundings", PLACES, text.embed_texts([PHRASE.format(place) for place in shown])
    )
    compare_texts(text, generated)
    wanted, valid = generated.arrays["clip-surroundings"]["wanted"], generated.valid["clip-surroundings"]
    assert wanted[valid].tolist() == [1.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize(("name", "texts"), [("clip-prompt", [""] * 3), ("clip-surroundings", ["beach"] * 3)])
def test_a_column_with_too_few_texts_adds_nothing(name: str, texts: list[str]) -> None:
    text = encoder(name)
    generated = extraction(name.removeprefix("clip-"), texts, np.zeros((3, 768), np.float32))
    compare_texts(text, generated)
    assert name not in generated.arrays
