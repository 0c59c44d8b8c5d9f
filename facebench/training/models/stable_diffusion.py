"""Stable Diffusion 2.1 and SDXL as training sees them: latents, prompts, the U-Net, and the decoder with gradients."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from facebench.core.errors import InputError, WeightsError
from facebench.training.engine.fingerprint import fingerprint

LORA_TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
"""Attention projections of the U-Net, as in the released ID-Booth recipe."""


@dataclass(frozen=True)
class Prompt:
    """What the U-Net is told: token embeddings, and for SDXL the pooled embedding and the picture's size."""

    tokens: Tensor
    pooled: Tensor | None = None
    size: Tensor | None = None

    @staticmethod
    def joined(prompts: list[Prompt], count: int, device: torch.device | str) -> Prompt:
        """Each prompt for `count` images, one after the other."""

        def stacked(parts: list[Tensor | None]) -> Tensor | None:
            known = [part.repeat_interleave(count, 0) for part in parts if part is not None]
            return torch.cat(known).to(device) if known else None

        tokens = stacked([prompt.tokens for prompt in prompts])
        assert tokens is not None
        pooled, size = (stacked([getattr(prompt, name) for prompt in prompts]) for name in ("pooled", "size"))
        return Prompt(tokens, pooled, size)


@dataclass(frozen=True)
class Base:
    """A base model, taken apart; all of it is frozen."""

    kind: Literal["sd", "sdxl"]
    name: str
    pipeline: Any
    """The diffusers pipeline."""

    @property
    def unet(self) -> nn.Module:
        """The denoiser."""
        unet: nn.Module = self.pipeline.unet
        return unet

    @property
    def vae(self) -> Any:
        """Images to latents and back."""
        return self.pipeline.vae

    @torch.no_grad()
    def prompt(self, text: str, side: int) -> Prompt:
        """Encode a prompt for square images of `side` pixels."""
        if self.kind == "sd":
            tokens, _ = self.pipeline.encode_prompt(text, "cpu", 1, do_classifier_free_guidance=False)
            return Prompt(tokens.detach())
        tokens, _, pooled, _ = self.pipeline.encode_prompt(
            text, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False
        )
        # Original size, upper left corner of the crop, target size: nothing was cut off.
        size = torch.tensor([[side, side, 0, 0, side, side]], dtype=tokens.dtype)
        return Prompt(tokens.detach(), pooled.detach(), size)

    def latents(self, images: Tensor, noise: Tensor) -> Tensor:
        """Scaled latents of images (n, 3, h, w) in [-1, 1]; `noise` is the chance of the encoder."""
        with torch.no_grad():
            found = self.vae.encode(images).latent_dist
            latents: Tensor = (found.mean + found.std * noise) * self.vae.config.scaling_factor
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Images (n, 3, h, w) in about [-1, 1] of scaled latents, with gradients."""
        images: Tensor = self.vae.decode(latents / self.vae.config.scaling_factor).sample
        return images

    def eps(self, unet: nn.Module, x_t: Tensor, t: Tensor, prompt: Prompt) -> Tensor:
        """What the U-Net predicts."""
        added = {}
        if prompt.pooled is not None and prompt.size is not None:
            added = {"added_cond_kwargs": {"text_embeds": prompt.pooled, "time_ids": prompt.size}}
        predicted: Tensor = unet(x_t, t, encoder_hidden_states=prompt.tokens, **added).sample
        return predicted

    def recompute(self) -> None:
        """Gradient checkpointing in the U-Net and in the decoder: save memory, compute twice."""
        self.unet.enable_gradient_checkpointing()  # type: ignore[operator]
        self.vae.enable_gradient_checkpointing()
        # It recomputes only in training mode, in which a VAE computes the same.
        self.vae.train()

    @property
    def latent_channels(self) -> int:
        """Channels of the latents."""
        return int(self.vae.config.latent_channels)

    @property
    def shrinks(self) -> int:
        """By how much the latents are smaller than the image."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))


def open_base(path: str | Path) -> Base:
    """Open a base model that is on this machine; nothing is ever downloaded.

    Args:
        path: a folder in diffusers' layout, or the name of a model in the local hub cache.

    Raises:
        InputError: the model is not here.
        WeightsError: it is no Stable Diffusion 2.1 or SDXL, or does not predict eps.
    """
    from diffusers import DiffusionPipeline, StableDiffusionPipeline, StableDiffusionXLPipeline

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loader: Any = DiffusionPipeline
            pipeline = loader.from_pretrained(
                str(path), local_files_only=True, use_safetensors=True, safety_checker=None
            )
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise InputError(
            f"{path}: is not on this machine as a diffusers model ({first}). Fetch it yourself after reading its "
            f"licence, for example: hf download {path}"
        ) from None
    kinds = {StableDiffusionPipeline: "sd", StableDiffusionXLPipeline: "sdxl"}
    kind = next((name for known, name in kinds.items() if isinstance(pipeline, known)), None)
    if kind is None:
        raise WeightsError(f"{path}: is a {type(pipeline).__name__}; Stable Diffusion or SDXL is needed.")
    if pipeline.scheduler.config.get("prediction_type", "epsilon") != "epsilon":
        raise WeightsError(
            f"{path}: does not predict eps. The recipe is for stable-diffusion-2-1-base, which does."
        )
    for part in (pipeline.unet, pipeline.vae):
        part.requires_grad_(False).eval()
    pipeline.set_progress_bar_config(disable=True)
    return Base(kind, str(path), pipeline)  # type: ignore[arg-type]


def add_lora(unet: nn.Module, rank: int, alpha: float, seed: int) -> nn.Module:
    """Put trainable low-rank adapters on the attention of a U-Net."""
    from peft import LoraConfig

    torch.manual_seed(seed)
    whatever: Any = alpha  # peft takes fractions too, whatever its annotation says
    config = LoraConfig(
        r=rank, lora_alpha=whatever, target_modules=list(LORA_TARGETS), init_lora_weights="gaussian"
    )
    unet.add_adapter(config)  # type: ignore[operator]
    return unet


def lora_tensors(unet: nn.Module) -> dict[str, Tensor]:
    """The adapters under the names that diffusers' own pipelines load."""
    import diffusers.utils
    from peft.utils import get_peft_model_state_dict

    converting: Any = diffusers.utils
    state = converting.convert_state_dict_to_diffusers(get_peft_model_state_dict(unet))
    return {f"unet.{name}": value for name, value in state.items()}


def put_on(base: Base, lora: Path) -> None:
    """Load adapters of a training run into the pipeline.

    Raises:
        InputError: there is no such file.
        WeightsError: it holds no adapters, or those of another base model.
    """
    from facebench.training.engine import model_file

    found = model_file.read(lora, "dreambooth")
    if found.architecture["kind"] != base.kind:
        raise WeightsError(
            f"{lora}: holds adapters for {found.architecture['base']} ({found.architecture['kind']}), not for "
            f"{base.name} ({base.kind})."
        )
    if found.architecture.get("unet") not in (None, fingerprint(base.unet)):
        raise WeightsError(
            f"{lora}: was trained on {found.architecture['base']}, and {base.name} has other weights. Give the base "
            "model of the training."
        )
    try:
        base.pipeline.load_lora_weights(found.tensors)
    except (RuntimeError, ValueError, KeyError) as error:
        raise WeightsError(f"{lora}: does not fit {base.name} ({str(error).splitlines()[0]}).") from None
