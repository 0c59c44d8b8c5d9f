"""Stable Diffusion 2.1 and SDXL for training: latents, prompts, the U-Net, and the decoder with gradients."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from facebench.core.errors import InputError, WeightsError
from facebench.training.engine.fingerprint import fingerprint
from facebench.training.models.base_mirrors import mirrors_of

LORA_TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
"""Attention projections of the U-Net that receive adapters, as in the released ID-Booth recipe."""


@dataclass(frozen=True)
class Prompt:
    """Conditions of the U-Net: token embeddings, and for SDXL the pooled embedding and the image size."""

    tokens: Tensor
    pooled: Tensor | None = None
    size: Tensor | None = None

    @staticmethod
    def joined(prompts: list[Prompt], count: int, device: torch.device | str) -> Prompt:
        """Repeat each prompt for `count` images and concatenate the results."""

        def stacked(parts: list[Tensor | None]) -> Tensor | None:
            present = [part.repeat_interleave(count, 0) for part in parts if part is not None]
            return torch.cat(present).to(device) if present else None

        tokens = stacked([prompt.tokens for prompt in prompts])
        assert tokens is not None
        pooled, size = (stacked([getattr(prompt, name) for prompt in prompts]) for name in ("pooled", "size"))
        return Prompt(tokens, pooled, size)


@dataclass(frozen=True)
class Base:
    """A frozen base model and access to its parts."""

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
        """The variational autoencoder."""
        return self.pipeline.vae

    def digests(self) -> dict[str, str]:
        """Return the fingerprints of the tensors of each network; they identify the base model."""
        parts = ("unet", "vae", "text_encoder", "text_encoder_2")
        networks = {part: getattr(self.pipeline, part, None) for part in parts}
        return {part: fingerprint(network) for part, network in networks.items() if network is not None}

    @torch.no_grad()
    def prompt(self, text: str, side: int) -> Prompt:
        """Encode a prompt for square images of `side` pixels."""
        if self.kind == "sd":
            tokens, _ = self.pipeline.encode_prompt(text, "cpu", 1, do_classifier_free_guidance=False)
            return Prompt(tokens.detach())
        tokens, _, pooled, _ = self.pipeline.encode_prompt(
            text, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False
        )
        # Original size, top left corner of the crop, target size: no cropping.
        size = torch.tensor([[side, side, 0, 0, side, side]], dtype=tokens.dtype)
        return Prompt(tokens.detach(), pooled.detach(), size)

    def latents(self, images: Tensor, noise: Tensor) -> Tensor:
        """Encode images (n, 3, h, w) in [-1, 1] to scaled latents; `noise` samples from the posterior."""
        with torch.no_grad():
            posterior = self.vae.encode(images).latent_dist
            latents: Tensor = (posterior.mean + posterior.std * noise) * self.vae.config.scaling_factor
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Decode scaled latents to images (n, 3, h, w) in about [-1, 1], with gradients."""
        images: Tensor = self.vae.decode(latents / self.vae.config.scaling_factor).sample
        return images

    def eps(self, unet: nn.Module, x_t: Tensor, t: Tensor, prompt: Prompt) -> Tensor:
        """Predict eps with the U-Net."""
        conditions = {}
        if prompt.pooled is not None and prompt.size is not None:
            conditions = {"added_cond_kwargs": {"text_embeds": prompt.pooled, "time_ids": prompt.size}}
        eps: Tensor = unet(x_t, t, encoder_hidden_states=prompt.tokens, **conditions).sample
        return eps

    def enable_gradient_checkpointing(self) -> None:
        """Enable gradient checkpointing in the U-Net and in the decoder."""
        self.unet.enable_gradient_checkpointing()  # type: ignore[operator]
        self.vae.enable_gradient_checkpointing()
        # diffusers recomputes only in training mode, which does not change the output of the VAE.
        self.vae.train()

    @property
    def latent_channels(self) -> int:
        """Number of channels of the latents."""
        return int(self.vae.config.latent_channels)

    @property
    def downsampling(self) -> int:
        """Ratio of the image size to the latent size."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))


def open_base(path: str | Path, vae: str | Path | None = None) -> Base:
    """Open a base model from this machine, without downloading.

    Args:
        path: a folder in diffusers' layout, or the name of a model in the local hub cache.
        vae: another autoencoder for the base model, as a folder or a name; None for its own.

    Raises:
        InputError: the model is not on this machine.
        WeightsError: the model is not Stable Diffusion 2.1 or SDXL, does not predict eps, or its U-Net takes other
            latents than its autoencoder gives.
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
            f"{path}: is not on this machine as a diffusers model ({first}). Read its licence and download it, for "
            f"example: hf download {path}{mirrors_of(str(path))}"
        ) from None
    kinds = {StableDiffusionPipeline: "sd", StableDiffusionXLPipeline: "sdxl"}
    kind = next((name for pipeline_type, name in kinds.items() if isinstance(pipeline, pipeline_type)), None)
    if kind is None:
        raise WeightsError(f"{path}: is a {type(pipeline).__name__}. Use Stable Diffusion or SDXL.")
    if pipeline.scheduler.config.get("prediction_type", "epsilon") != "epsilon":
        raise WeightsError(
            f"{path}: does not predict eps. Use a model that does, such as stable-diffusion-2-1-base."
        )
    if vae is not None:
        pipeline.vae = _open_vae(vae)
    inputs, latents = pipeline.unet.config.in_channels, pipeline.vae.config.latent_channels
    if inputs != latents:
        raise WeightsError(
            f"{path}: the U-Net takes {inputs} channels, the autoencoder gives {latents}. Models for inpainting take "
            "more channels; use a model that draws images from text."
        )
    for part in (pipeline.unet, pipeline.vae):
        part.requires_grad_(False).eval()
    pipeline.set_progress_bar_config(disable=True)
    return Base(kind, str(path), pipeline)  # type: ignore[arg-type]


def _open_vae(path: str | Path) -> Any:
    from diffusers import AutoencoderKL

    loader: Any = AutoencoderKL
    try:
        return loader.from_pretrained(str(path), local_files_only=True, use_safetensors=True)
    except (OSError, ValueError) as error:
        raise InputError(
            f"vae={path}: is not on this machine as an autoencoder of diffusers ({str(error).splitlines()[0]})."
        ) from None


def add_lora(unet: nn.Module, rank: int, alpha: float, seed: int) -> nn.Module:
    """Add trainable LoRA adapters to the attention of a U-Net."""
    from peft import LoraConfig

    torch.manual_seed(seed)
    fractional: Any = alpha  # peft accepts fractions, although its annotation is int
    config = LoraConfig(
        r=rank, lora_alpha=fractional, target_modules=list(LORA_TARGETS), init_lora_weights="gaussian"
    )
    unet.add_adapter(config)  # type: ignore[operator]
    return unet


def lora_tensors(unet: nn.Module) -> dict[str, Tensor]:
    """Return the adapters by the names that diffusers pipelines load."""
    import diffusers.utils
    from peft.utils import get_peft_model_state_dict

    utils: Any = diffusers.utils
    state = utils.convert_state_dict_to_diffusers(get_peft_model_state_dict(unet))
    return {f"unet.{name}": value for name, value in state.items()}


def apply_lora(base: Base, lora: Path) -> None:
    """Load the adapters of a training run into the pipeline.

    Raises:
        InputError: the file does not exist.
        WeightsError: the file holds no adapters, or those of another base model.
    """
    from facebench.training.engine import model_file

    model = model_file.read(lora, "dreambooth")
    trained = model.architecture
    if not {"kind", "base"} <= trained.keys():
        raise WeightsError(f"{lora}: its header does not name the base model. Train the adapters again.")
    if trained["kind"] != base.kind:
        raise WeightsError(
            f"{lora}: holds adapters for {trained['base']} ({trained['kind']}), not for "
            f"{base.name} ({base.kind})."
        )
    if trained.get("unet") not in (None, fingerprint(base.unet)):
        raise WeightsError(
            f"{lora}: was trained on {trained['base']}, and {base.name} has other weights. Give the base model of the "
            "training."
        )
    try:
        base.pipeline.load_lora_weights(model.tensors)
    except (RuntimeError, ValueError, KeyError) as error:
        raise WeightsError(f"{lora}: does not fit {base.name} ({str(error).splitlines()[0]}).") from None
