"""The text encoder of CLIP equals that of transformers, under filled weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facebench.backbones.clip_text import ClipText, build_text
from facebench.backbones.weights import WeightsSource
from facebench.core.errors import InputError, WeightsError

TEXTS = (
    "a photo of a cat",
    "Face portrait photo of sks person, night club background",
    "顔, naïve café!",
    "word " * 200,
)


@pytest.fixture(scope="module")
def theirs() -> torch.nn.Module:
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 768, "intermediate_size": 3072, "projection_dim": 768, "num_attention_heads": 12}
    config = transformers.CLIPTextConfig(**sizes, num_hidden_layers=12, vocab_size=49408, eos_token_id=49407)
    network = transformers.CLIPTextModelWithProjection(config).eval()
    generator = torch.Generator().manual_seed(0)
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.add_(0.05 * torch.randn(value.shape, generator=generator))
    return network


@pytest.fixture(scope="module")
def ours(theirs: torch.nn.Module) -> ClipText:
    return build_text("clip-prompt", WeightsSource.of("clip-vitl14-336", theirs.state_dict()))


def test_tokens_are_those_of_clip(ours: ClipText) -> None:
    tokens = ours.tokens(TEXTS)
    assert tokens[0, :8].tolist() == [49406, 320, 1125, 539, 320, 2368, 49407, 0]
    assert tokens.shape == (4, 77)
    assert tokens[3, -1] == 49407


def test_embeddings_equal_those_of_transformers(theirs: torch.nn.Module, ours: ClipText) -> None:
    rows = ours.embed_texts(TEXTS)
    with torch.inference_mode():
        expected = theirs(input_ids=ours.tokens(TEXTS)).text_embeds
    expected = torch.nn.functional.normalize(expected, dim=1)
    np.testing.assert_allclose(rows, expected.numpy(), rtol=0, atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=0, atol=1e-6)
    assert np.abs(rows[0] - rows[1]).max() > 1e-3


def test_openai_names_with_the_image_encoder_give_the_same_network(ours: ClipText) -> None:
    whole = {**ours.network.state_dict(), "visual.proj": torch.ones(1), "logit_scale": torch.ones(())}
    rows = build_text("clip-prompt", WeightsSource.of("clip-vitl14-336", whole)).embed_texts(TEXTS[:2])
    np.testing.assert_array_equal(rows, ours.embed_texts(TEXTS[:2]))


def test_weights_without_a_text_encoder_are_refused() -> None:
    with pytest.raises(WeightsError, match="hold no text encoder"):
        build_text("clip-prompt", WeightsSource.of("clip-vitl14-336", {"visual.proj": torch.ones(1)}))


def test_images_are_refused(ours: ClipText) -> None:
    with pytest.raises(InputError, match="encodes texts"):
        ours.preprocess(np.zeros((8, 8, 3), np.uint8))
