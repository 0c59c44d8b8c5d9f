"""CLIP ViT-L/14 at 336 pixels: image embeddings of unit length, with the preprocessing of CMMD.

Measures: image content; CMMD compares the distributions of these embeddings.
Input: whole image, largest central square, Pillow bicubic to 336 x 336, RGB, CLIP's mean and deviation.
Arrays: `embedding` (n, 768) of unit length.
Licence: MIT (OpenAI).
Papers: Radford et al. 2021, "Learning transferable visual models from natural language supervision";
Jayasumana et al. 2024, "Rethinking FID: Towards a better evaluation metric for image generation".
"""

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
from facebench.backbones.weights import WeightsSource
from facebench.core.errors import WeightsError

SIZE = 336
LAYERS = 24
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)

# Parameters of the text encoder, and three size entries of OpenAI's file; not needed for images.
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
# Older versions of transformers also saved the row numbers 0 to 576.
_TEXT_HF_ONE = {"logit_scale", "vision_model.embeddings.position_ids"}


class Clip(TorchBackbone):
    """CLIP ViT-L/14-336: `embedding` (n, 768) of unit length.

    The preprocessing is that of CMMD. The largest central square is cropped, so borders of oblong images are
    ignored. Pillow resizes it to 336 x 336 in uint8 (bicubic, antialiased). CMMD's code then resizes from 336 to
    336 without antialiasing, which has no effect.
    """

    arrays = ("embedding",)
    preprocessing = "centre-square-pil-bicubic-336-clip-v1"

    def preprocess(self, image: Image) -> Tensor:
        """Crop, resize and standardise; float32 (3, 336, 336)."""
        return standardise(pil_bicubic(centre_square(image), SIZE), MEAN, STD)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Compute `embedding`."""
        return {"embedding": functional.normalize(self.network(batch), dim=1, eps=0.0)}


def vision_tower() -> nn.Module:
    """Build the image encoder of CLIP ViT-L/14-336 with OpenAI's parameter names, from open_clip."""
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


def build(name: str, source: WeightsSource, device: str) -> Clip:
    """Build `clip-vitl14-336`.

    Parameter names of OpenAI and open_clip are accepted, with or without the prefix "visual." and the text
    encoder. Those of transformers (`CLIPModel`, `CLIPVisionModelWithProjection`) are accepted too. OpenAI's file
    is a TorchScript archive, whose tensors are read without running its program.

    Raises:
        WeightsError: the weights belong to another network.
    """
    state = clip_state(source)
    network = unfilled(vision_tower)
    if any(key.startswith(("vision_model.", "visual_projection.")) for key in state):
        state = _from_hf({k: v for k, v in state.items() if not _is_hf_text(k)}, name)
    elif any(key.startswith("visual.") for key in state):
        state = {k.removeprefix("visual."): v for k, v in state.items() if not _is_openai_text(k)}
    load_strictly(network, state, name)
    return Clip(name, network, source.used(), device)


def clip_state(source: WeightsSource) -> dict[str, Tensor]:
    """Read the parameters of both towers; OpenAI's file is a TorchScript archive."""
    if source.state is None and is_torchscript(source.file()):
        return tensors_of(source.file())
    return source.state_dict()


def _is_openai_text(key: str) -> bool:
    return key.startswith(_TEXT_OPENAI) or key in _TEXT_OPENAI_ONE


def _is_hf_text(key: str) -> bool:
    return key.startswith(_TEXT_HF) or key in _TEXT_HF_ONE


def _from_hf(state: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    """Convert names of transformers to those of OpenAI."""
    with torch.device("meta"):
        openai = {key: tuple(value.shape) for key, value in vision_tower().state_dict().items()}
    shapes = {"visual_projection.weight": openai["proj"][::-1], **hf_shapes(_hf_names(), openai)}
    renamed = rename_from_hf(state, _hf_names(), shapes, what)
    renamed["proj"] = state["visual_projection.weight"].T
    return renamed


HfNames = Mapping[str, tuple[str, ...]]
"""OpenAI's name of a parameter: the one or three names of transformers whose rows it holds."""


def rename_from_hf(
    state: Mapping[str, Tensor], names: HfNames, shapes: Mapping[str, tuple[int, ...]], what: str
) -> dict[str, Tensor]:
    """Convert names of transformers to those of OpenAI; queries, keys and values become one matrix.

    Args:
        state: parameters of one tower.
        names: names of the tower.
        shapes: shape of every parameter that the state must have.
        what: name of the backbone for error messages.

    Raises:
        WeightsError: a key is missing, unexpected, or has another shape.
    """
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
            raise WeightsError(f"{what}: the weights contain '{key}', which the network does not have.")
    return {name: _gather(state, parts) for name, parts in names.items()}


def _gather(state: Mapping[str, Tensor], names: tuple[str, ...]) -> Tensor:
    return state[names[0]] if len(names) == 1 else torch.cat([state[name] for name in names])


def _hf_names() -> dict[str, tuple[str, ...]]:
    """Map OpenAI's names to one or three names of transformers; without `proj`."""
    names: dict[str, tuple[str, ...]] = {
        "class_embedding": ("vision_model.embeddings.class_embedding",),
        "conv1.weight": ("vision_model.embeddings.patch_embedding.weight",),
        "positional_embedding": ("vision_model.embeddings.position_embedding.weight",),
    }
    # "pre_layrnorm" is the spelling of transformers.
    for openai, hf in (("ln_pre", "pre_layrnorm"), ("ln_post", "post_layernorm")):
        for kind in ("weight", "bias"):
            names[f"{openai}.{kind}"] = (f"vision_model.{hf}.{kind}",)
    return {**names, **hf_layers("vision_model", LAYERS)}


def hf_layers(tower: str, layers: int) -> dict[str, tuple[str, ...]]:
    """Map OpenAI's names of transformer layers to those of transformers.

    Args:
        tower: "vision_model" or "text_model".
        layers: number of layers.
    """
    names: dict[str, tuple[str, ...]] = {}
    for layer in range(layers):
        openai, hf = f"transformer.resblocks.{layer}", f"{tower}.encoder.layers.{layer}"
        pairs = [("ln_1", "layer_norm1"), ("ln_2", "layer_norm2"), ("attn.out_proj", "self_attn.out_proj")]
        pairs += [("mlp.c_fc", "mlp.fc1"), ("mlp.c_proj", "mlp.fc2")]
        for kind in ("weight", "bias"):
            names |= {f"{openai}.{own}.{kind}": (f"{hf}.{other}.{kind}",) for own, other in pairs}
            names[f"{openai}.attn.in_proj_{kind}"] = tuple(f"{hf}.self_attn.{p}_proj.{kind}" for p in "qkv")
    return names


def hf_shapes(names: HfNames, openai: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the parameters under the names of transformers.

    Args:
        names: names of one tower.
        openai: shapes under OpenAI's names.
    """
    return {
        name: (openai[key][0] // len(parts), *openai[key][1:])
        for key, parts in names.items()
        for name in parts
    }
