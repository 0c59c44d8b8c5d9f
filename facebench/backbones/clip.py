"""CLIP ViT-L/14 at 336 pixels (OpenAI): unit-norm image embeddings, prepared as CMMD prepares them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from open_clip.transformer import QuickGELU, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from facebench.backbones.base import Image, load_strictly
from facebench.backbones.resize import centre_square, pil_bicubic, standardise
from facebench.backbones.torch_network import TorchBackbone, unfilled
from facebench.backbones.torchscript import is_torchscript, tensors_of
from facebench.backbones.weights import Given
from facebench.core.errors import WeightsError

SIZE = 336
LAYERS = 24
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)

# The other half of CLIP, and OpenAI's three notes on sizes: known, and not needed for images.
_TEXT_OPENAI = ("transformer.", "token_embedding.", "ln_final.")
_TEXT_OPENAI_ONE = {
    "positional_embedding",
    "text_projection",
    "logit_scale",
    "input_resolution",
    "context_length",
    "vocab_size",
}
_TEXT_HF = ("text_model.", "text_projection.")
# Row numbers 0 to 576, which older versions of transformers saved as if they were weights.
_TEXT_HF_ONE = {"logit_scale", "vision_model.embeddings.position_ids"}


class Clip(TorchBackbone):
    """CLIP ViT-L/14-336: `embedding` (n, 768) of unit length.

    The preprocessing is that of CMMD (Jayasumana et al. 2024, "Rethinking FID"): the largest central square,
    so the borders of images that are not square are never seen; Pillow bicubic (antialiased) to 336x336 in
    uint8; CLIP's mean and standard deviation. The published code resizes once more, without antialias, from
    336 to 336, which changes nothing.
    """

    arrays = ("embedding",)
    preprocessing = "centre-square-pil-bicubic-336-clip-v1"

    def preprocess(self, image: Image) -> Tensor:
        """Crop, resize and standardise; float32 (3, 336, 336)."""
        return standardise(pil_bicubic(centre_square(image), SIZE), MEAN, STD)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Give the embeddings, divided by their L2 norm."""
        return {"embedding": functional.normalize(self.network(batch), dim=1, eps=0.0)}


def vision_tower() -> nn.Module:
    """The image half of CLIP ViT-L/14-336, open_clip's network under OpenAI's parameter names."""
    tower: nn.Module = VisionTransformer(
        image_size=SIZE,
        patch_size=14,
        width=1024,
        layers=LAYERS,
        heads=16,
        mlp_ratio=4.0,
        output_dim=768,
        act_layer=QuickGELU,
    )
    return tower


def build(name: str, given: Given, device: str) -> Clip:
    """Build `clip-vitl14-336`.

    Accepts the names of OpenAI and open_clip (with or without "visual." before them, with or without the text
    half) and those of transformers (`CLIPModel` or `CLIPVisionModelWithProjection`). OpenAI's own file is a
    TorchScript archive; its tensors are read without running the program in it.

    Raises:
        WeightsError: the weights are not those of this network; the key is named as the file names it.
    """
    state = _read(given)
    network = unfilled(vision_tower)
    if any(key.startswith(("vision_model.", "visual_projection.")) for key in state):
        state = _from_hf({k: v for k, v in state.items() if not _is_hf_text(k)}, name)
    elif any(key.startswith("visual.") for key in state):
        state = {k.removeprefix("visual."): v for k, v in state.items() if not _is_openai_text(k)}
    load_strictly(network, state, name)
    return Clip(name, network, given.used(), device)


def _read(given: Given) -> dict[str, Tensor]:
    if given.state is None and is_torchscript(given.file()):
        return tensors_of(given.file())
    return given.state_dict()


def _is_openai_text(key: str) -> bool:
    return key.startswith(_TEXT_OPENAI) or key in _TEXT_OPENAI_ONE


def _is_hf_text(key: str) -> bool:
    return key.startswith(_TEXT_HF) or key in _TEXT_HF_ONE


def _from_hf(state: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    """Rename from transformers to OpenAI; queries, keys and values become one matrix.

    Raises:
        WeightsError: a key is missing, unexpected, or has another shape.
    """
    shapes = _hf_shapes()
    for key, shape in shapes.items():
        if key not in state:
            raise WeightsError(
                f"{what}: the weights lack '{key}'. Is this the checkpoint of another network?"
            )
        if tuple(state[key].shape) != shape:
            raise WeightsError(
                f"{what}: '{key}' has shape {tuple(state[key].shape)}, the network needs {shape}."
            )
    for key in state:
        if key not in shapes:
            raise WeightsError(f"{what}: the weights hold '{key}', which the network does not have.")
    renamed = {own: _gather(state, theirs) for own, theirs in _hf_names().items()}
    renamed["proj"] = state["visual_projection.weight"].T
    return renamed


def _gather(state: Mapping[str, Tensor], names: tuple[str, ...]) -> Tensor:
    return state[names[0]] if len(names) == 1 else torch.cat([state[name] for name in names])


def _hf_names() -> dict[str, tuple[str, ...]]:
    """OpenAI's name -> the name, or the three names, of the same numbers in transformers; `proj` apart."""
    names: dict[str, tuple[str, ...]] = {
        "class_embedding": ("vision_model.embeddings.class_embedding",),
        "conv1.weight": ("vision_model.embeddings.patch_embedding.weight",),
        "positional_embedding": ("vision_model.embeddings.position_embedding.weight",),
    }
    # "pre_layrnorm" is transformers' own spelling.
    pairs = [("ln_pre", "pre_layrnorm"), ("ln_post", "post_layernorm")]
    for layer in range(LAYERS):
        own, theirs = f"transformer.resblocks.{layer}", f"encoder.layers.{layer}"
        pairs += [
            (f"{own}.ln_1", f"{theirs}.layer_norm1"),
            (f"{own}.ln_2", f"{theirs}.layer_norm2"),
            (f"{own}.attn.out_proj", f"{theirs}.self_attn.out_proj"),
            (f"{own}.mlp.c_fc", f"{theirs}.mlp.fc1"),
            (f"{own}.mlp.c_proj", f"{theirs}.mlp.fc2"),
        ]
        for kind in ("weight", "bias"):
            names[f"{own}.attn.in_proj_{kind}"] = tuple(
                f"vision_model.{theirs}.self_attn.{part}_proj.{kind}" for part in ("q", "k", "v")
            )
    for own, theirs in pairs:
        for kind in ("weight", "bias"):
            names[f"{own}.{kind}"] = (f"vision_model.{theirs}.{kind}",)
    return names


def _hf_shapes() -> dict[str, tuple[int, ...]]:
    """Shape of every parameter under transformers' names."""
    with torch.device("meta"):
        own = {key: tuple(value.shape) for key, value in vision_tower().state_dict().items()}
    shapes = {"visual_projection.weight": own["proj"][::-1]}
    for key, names in _hf_names().items():
        for name in names:
            shapes[name] = (own[key][0] // len(names), *own[key][1:])
    return shapes
