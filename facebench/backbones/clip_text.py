"""Text encoder of CLIP ViT-L/14 at 336 pixels: embeddings of unit length, comparable with those of its images.

Measures: content of a text; the cosine with an image embedding is the similarity of image and text.
Input: text, lower case, byte pairs of CLIP's vocabulary, at most 77 tokens with start and end; longer texts are cut.
Licence: MIT (OpenAI); the vocabulary comes with open_clip (MIT).
Paper: Radford et al. 2021, "Learning transferable visual models from natural language supervision".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transformer import QuickGELU, TextTransformer
from torch import Tensor, nn
from torch.nn import functional

from facebench.backbones.base import Image, WeightsUsed, load_strictly
from facebench.backbones.clip import clip_state, hf_layers, hf_shapes, rename_from_hf
from facebench.backbones.text_networks import IMAGES
from facebench.backbones.torch_network import TorchBackbone, unfilled
from facebench.backbones.weights import WeightsSource
from facebench.core.errors import InputError, WeightsError

WIDTH, LAYERS, TOKENS = 768, 12, 77
BATCH = 32
_OPENAI = ("transformer.", "token_embedding.", "ln_final.")
_OPENAI_ONE = ("positional_embedding", "text_projection")
# Older versions of transformers also saved the row numbers 0 to 76.
_HF_ROWS = "text_model.embeddings.position_ids"


class ClipText(TorchBackbone):
    """Text encoder of CLIP ViT-L/14-336: `embedding` (n, 768) of unit length. Its input is text, not an image."""

    arrays = ("embedding",)
    preprocessing = "clip-bpe-lower-77-v1"

    def __init__(self, name: str, network: nn.Module, weights: WeightsUsed, device: str) -> None:
        super().__init__(name, network, weights, device)
        self._tokenizer = SimpleTokenizer(context_length=TOKENS)

    def preprocess(self, image: Image) -> Tensor:
        """Refuse images.

        Raises:
            InputError: always.
        """
        raise InputError(f"{self.name} encodes texts. Use .embed_texts(texts).")

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Return the tokens of texts, int64 (n, 77): start, byte pairs, end, zeros; long texts are cut."""
        tokens: Tensor = self._tokenizer(list(texts))
        return tokens

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Compute `embedding` of tokens."""
        return {"embedding": functional.normalize(self.network(batch), dim=1, eps=0.0)}

    def embed_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return one row of unit length for each text, float32 (n, 768)."""
        batches = [self.tokens(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
        empty = np.empty((0, WIDTH), dtype=np.float32)
        return np.concatenate([empty, *(self.embed(batch)["embedding"] for batch in batches)])


def text_tower() -> nn.Module:
    """Build the text encoder of CLIP ViT-L/14 with OpenAI's parameter names, from open_clip."""
    tower: nn.Module = TextTransformer(
        context_length=TOKENS,
        width=WIDTH,
        heads=12,
        layers=LAYERS,
        output_dim=WIDTH,
        act_layer=QuickGELU,
    )
    return tower


def build_text(name: str, source: WeightsSource | None = None, device: str = "cpu") -> ClipText:
    """Build the text encoder from weights of both towers.

    Parameter names of OpenAI, open_clip and transformers (`CLIPModel`, `CLIPTextModelWithProjection`) are accepted.

    Args:
        name: name of the comparison, such as "clip-prompt".
        source: weights; None for the file of the registry.
        device: a torch device.

    Raises:
        WeightsError: the weights are missing, hold no text encoder, or belong to another network.
    """
    source = source or WeightsSource.of(IMAGES, None)
    state = clip_state(source)
    what = f"the text encoder of {IMAGES}"
    if any(key.startswith("text_model.") for key in state):
        text = {
            k: v
            for k, v in state.items()
            if k.startswith(("text_model.", "text_projection.")) and k != _HF_ROWS
        }
        text = _from_hf(text, what)
    else:
        text = {k: v for k, v in state.items() if k.startswith(_OPENAI) or k in _OPENAI_ONE}
    if not text:
        raise WeightsError(
            f"The weights of {IMAGES} hold no text encoder. Import the file with both encoders."
        )
    network = unfilled(text_tower)
    load_strictly(network, text, what)
    # The mask of attention is a buffer outside the state dict, which `unfilled` leaves without content.
    build_mask: Any = network.build_causal_mask
    network.attn_mask = build_mask()
    return ClipText(name, network, source.used(), device)


def _from_hf(state: dict[str, Tensor], what: str) -> dict[str, Tensor]:
    """Convert names of transformers to those of OpenAI."""
    with torch.device("meta"):
        openai = {key: tuple(value.shape) for key, value in text_tower().state_dict().items()}
    embeddings = "text_model.embeddings"
    names = {
        "token_embedding.weight": (f"{embeddings}.token_embedding.weight",),
        "positional_embedding": (f"{embeddings}.position_embedding.weight",),
        "ln_final.weight": ("text_model.final_layer_norm.weight",),
        "ln_final.bias": ("text_model.final_layer_norm.bias",),
        **hf_layers("text_model", LAYERS),
    }
    shapes = {"text_projection.weight": openai["text_projection"][::-1], **hf_shapes(names, openai)}
    renamed = rename_from_hf(state, names, shapes, what)
    renamed["text_projection"] = state["text_projection.weight"].T
    return renamed
