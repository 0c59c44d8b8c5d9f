"""Tiny base models with the structure of Stable Diffusion 2.1 and SDXL: random ones, and ones that draw faces.

A base model that draws faces has an autoencoder that is computed, not trained: it shrinks an image eight times and
enlarges it again. Its U-Net was trained for 900 steps on six rendered faces; only the weights without text are stored.
Its text attention adds nothing until adapters train it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.helpers.paths import GOLDENS_FOLDER

SIDE = 64
FACE_SIDE = 128
"""Side of the images of base models that draw faces."""
UNET = GOLDENS_FOLDER / "tiny_face_unet.npz"
_PINNED, _OFFSET, _LATENT_SCALE = 100.0, 20.0, 3.0


def tokenizer(folder: Path) -> Any:
    from transformers import CLIPTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz-,"
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)


def base_model(folder: Path, kind: str, *, faces: bool = False) -> Path:
    """Write a tiny base model in the layout of diffusers.

    Args:
        folder: folder for the model.
        kind: "sd" or "sdxl".
        faces: whether it draws faces of 128 pixels; otherwise its weights are random.
    """
    from diffusers import (
        AutoencoderKL,
        DDPMScheduler,
        StableDiffusionPipeline,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(0)
    text = CLIPTextConfig(
        vocab_size=58, hidden_size=32, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4,
        projection_dim=32, bos_token_id=56, eos_token_id=57, pad_token_id=57,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(16, 16, 16, 16), down_block_types=["DownEncoderBlock2D"] * 4, latent_channels=4,
        up_block_types=["UpDecoderBlock2D"] * 4, norm_num_groups=2 if faces else 8, sample_size=SIDE,
    )  # fmt: skip
    extra: dict[str, Any] = {"cross_attention_dim": 32}
    if kind == "sdxl":
        extra = {
            "cross_attention_dim": 64, "addition_embed_type": "text_time", "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 32 + 6 * 8, "transformer_layers_per_block": (1, 1),
        }  # fmt: skip
    unet = UNet2DConditionModel(
        block_out_channels=(16, 32), layers_per_block=1, sample_size=SIDE // 8, norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=4, use_linear_projection=True, **extra,
    )  # fmt: skip
    if faces:
        _shrink_and_enlarge(vae)
        _draw_faces(unet, vae)
    schedule = DDPMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False, steps_offset=1
    )
    words = tokenizer(folder / "words")
    if kind == "sd":
        pipeline = StableDiffusionPipeline(
            vae, CLIPTextModel(text), words, unet, schedule, None, None, requires_safety_checker=False
        )
    else:
        pipeline = StableDiffusionXLPipeline(
            vae, CLIPTextModel(text), CLIPTextModelWithProjection(text), words, words, unet, schedule
        )
    pipeline.save_pretrained(folder / "model", safe_serialization=True)
    return folder / "model"


@torch.no_grad()
def _shrink_and_enlarge(vae: Any) -> None:
    """Replace the autoencoder by eightfold area averaging and smooth enlargement.

    Residual branches are zero. Group normalisation is pinned by two constant channels of opposite sign, and SiLU is
    linear around a large offset.
    """
    scale = _LATENT_SCALE / vae.config.scaling_factor
    for name, parameter in vae.named_parameters():
        if "conv2" in name or "to_out" in name:
            parameter.zero_()
    for part, gain in ((vae.encoder, 1.0), (vae.decoder, 1 / scale)):
        _clear(part.conv_in)
        for channel in range(3):
            part.conv_in.weight[channel, channel, 1, 1] = gain
        part.conv_in.bias[[3, 8]], part.conv_in.bias[[4, 9]] = _PINNED, -_PINNED
        part.conv_norm_out.weight.fill_(_PINNED / 2)
        part.conv_norm_out.bias.fill_(_OFFSET)
    tent = torch.tensor([1.0, 2.0, 1.0]) / 4
    for module in vae.modules():
        if type(module).__name__ == "Downsample2D":
            _clear(module.conv)
            for channel in range(16):
                module.conv.weight[channel, channel, :2, :2] = 0.25
        if type(module).__name__ == "Upsample2D":
            _clear(module.conv)
            for channel in range(16):
                module.conv.weight[channel, channel, 1, 1] = 1.0
            for channel in range(3):
                module.conv.weight[channel, channel] = torch.outer(tent, tent)
    for conv, gain in ((vae.encoder.conv_out, scale), (vae.decoder.conv_out, 1.0)):
        _clear(conv)
        for channel in range(3):
            conv.weight[channel, channel, 1, 1], conv.bias[channel] = gain, -_OFFSET * gain
    vae.encoder.conv_out.bias[4:] = -30.0
    for conv in (vae.quant_conv, vae.post_quant_conv):
        _clear(conv)
        for channel in range(conv.weight.shape[0]):
            conv.weight[channel, channel, 0, 0] = 1.0


@torch.no_grad()
def _draw_faces(unet: Any, vae: Any) -> None:
    """Load the weights that draw faces; attention to the text and to the size of the image adds nothing."""
    with np.load(UNET) as stored:
        state = {name: torch.from_numpy(stored[name]).float() for name in stored.files}
    unet.load_state_dict(state, strict=False)
    for name, parameter in unet.named_parameters():
        if "attn2.to_out" in name or "add_embedding.linear_2" in name:
            parameter.zero_()


def _clear(conv: Any) -> None:
    conv.weight.zero_()
    conv.bias.zero_()
