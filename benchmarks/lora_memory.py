"""GPU memory of LoRA training of Stable Diffusion at full size, computed without weights and without a GPU.

    python benchmarks/lora_memory.py

Networks of the published sizes are built on torch's meta device. One step of `facebench train dreambooth` (one instance
and one prior image, bf16, AdamW) runs on tensors that have shapes but no values, and all allocated bytes are counted.
Norms use float32, as under autocast on CUDA, and attention stores no matrix. CUDA itself, workspaces of cuDNN and
fragmentation are not included; they need one or two GiB in addition.

Sizes: unet, vae, text_encoder and text_encoder_2/config.json of stabilityai/stable-diffusion-2-1-base and
stabilityai/stable-diffusion-xl-base-1.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from counted_memory import Counted
from diffusers import AutoencoderKL, UNet2DConditionModel
from rich.console import Console
from rich.table import Table
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from facebench.backbones.iresnet import DEPTHS, IResNet
from facebench.training.diffusion import q_sample
from facebench.training.losses.id_booth import STABLE_DIFFUSION, IdentityTerm, NoisePrediction, step_loss
from facebench.training.models.stable_diffusion import Base, Prompt, add_lora

GIB = 2**30
RANK = 4
VAE = {
    "block_out_channels": [128, 256, 512, 512], "down_block_types": ["DownEncoderBlock2D"] * 4, "latent_channels": 4,
    "layers_per_block": 2, "up_block_types": ["UpDecoderBlock2D"] * 4,
}  # fmt: skip
CLIP_L = {
    "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12,
    "projection_dim": 768, "vocab_size": 49408,
}  # fmt: skip
OPENCLIP_H = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 23,
    "projection_dim": 512, "vocab_size": 49408,
}  # fmt: skip
OPENCLIP_BIGG = {
    "hidden_size": 1280, "intermediate_size": 5120, "num_attention_heads": 20, "num_hidden_layers": 32,
    "projection_dim": 1280, "vocab_size": 49408,
}  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """Sizes of a base model, and side of its training images."""

    kind: Any
    side: int
    unet: dict[str, Any]
    encoders: tuple[tuple[type, dict[str, Any]], ...]


MODELS = {
    "SD 2.1, 512 pixels": Sizes(
        "sd", 512,
        {
            "attention_head_dim": [5, 10, 20, 20], "block_out_channels": [320, 640, 1280, 1280],
            "cross_attention_dim": 1024, "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
            "sample_size": 64, "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
            "use_linear_projection": True,
        },
        ((CLIPTextModel, OPENCLIP_H),),
    ),
    "SDXL, 1024 pixels": Sizes(
        "sdxl", 1024,
        {
            "addition_embed_type": "text_time", "addition_time_embed_dim": 256, "attention_head_dim": [5, 10, 20],
            "block_out_channels": [320, 640, 1280], "cross_attention_dim": 2048,
            "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
            "projection_class_embeddings_input_dim": 2816, "sample_size": 128,
            "transformer_layers_per_block": [1, 2, 10],
            "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
            "use_linear_projection": True,
        },
        ((CLIPTextModel, CLIP_L), (CLIPTextModelWithProjection, OPENCLIP_BIGG)),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Networks:
    """Networks of a training run on the GPU."""

    base: Base
    recogniser: nn.Module

    @staticmethod
    def of(sizes: Sizes) -> Networks:
        """Build the networks without values, then replace their parameters by fake tensors."""
        with torch.device("meta"):
            unet, vae = UNet2DConditionModel(**sizes.unet), AutoencoderKL(**VAE)
            recogniser = IResNet(DEPTHS["iresnet100"]).eval().requires_grad_(False)
            for part in (unet, vae):
                part.requires_grad_(False).eval()
            add_lora(unet, RANK, RANK, 0)
        for part in (unet, vae, recogniser):
            _use_fake_tensors(part)
        return Networks(Base(sizes.kind, "", SimpleNamespace(unet=unet, vae=vae)), recogniser)

    @property
    def adapters(self) -> list[nn.Parameter]:
        """Trained parameters."""
        return [value for value in self.base.unet.parameters() if value.requires_grad]


def _use_fake_tensors(network: nn.Module) -> None:
    for module in network.modules():
        for name, value in module._parameters.items():
            if value is not None:
                module._parameters[name] = nn.Parameter(torch.empty(value.shape), value.requires_grad)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)
        if isinstance(module, (nn.GroupNorm, nn.LayerNorm)):
            module.register_forward_pre_hook(lambda _, given: (given[0].float(), *given[1:]))


def step(networks: Networks, sizes: Sizes, loss: Any) -> int:
    """Return the peak bytes of one step, in addition to the weights and the state of Adam."""
    base, count = networks.base, 2
    width = sizes.unet["cross_attention_dim"]
    prompt = Prompt(torch.empty(count, 77, width))
    if sizes.kind == "sdxl":
        prompt = Prompt(torch.empty(count, 77, width), torch.empty(count, 1280), torch.empty(count, 6))
    base.unet.train()
    with Counted() as counted:
        with torch.autocast("cpu", torch.bfloat16):
            images = torch.empty(count, 3, sizes.side, sizes.side)
            shape = (count, base.latent_channels, *(2 * [sizes.side // base.downsampling]))
            noise, t = torch.empty(shape), torch.zeros(count, dtype=torch.int64)
            latents = base.latents(images, torch.empty(shape))
            eps = base.eps(base.unet, q_sample(latents, t, noise, STABLE_DIFFUSION), t, prompt)
            term = IdentityTerm(
                loss,
                base.decode,
                lambda image: functional.interpolate(image[None], (112, 112)),
                networks.recogniser,
            )
            total = step_loss(NoisePrediction(latents, noise, eps, t), term, torch.empty(count, 512)).total
        total.backward()
    for value in networks.adapters:
        value.grad = None
    return counted.most


def parameters(network: nn.Module, *, trained: bool = False) -> int:
    return sum(value.numel() for value in network.parameters() if value.requires_grad == trained)


def column(sizes: Sizes) -> dict[str, str]:
    with torch.device("meta"):
        encoders = [kind(CLIPTextConfig(**given)) for kind, given in sizes.encoders]
    texts = sum(sum(value.numel() for value in encoder.parameters()) for encoder in encoders)
    with FakeTensorMode(allow_non_fake_inputs=True):
        networks = Networks.of(sizes)
        unet, vae, recogniser = (
            parameters(part) for part in (networks.base.unet, networks.base.vae, networks.recogniser)
        )
        adapters = parameters(networks.base.unet, trained=True)
        rows = {
            "U-Net, frozen": _weights(unet),
            "VAE, frozen": _weights(vae),
            "recogniser (IResNet-100), frozen": _weights(recogniser),
            "adapters of rank 4, their gradients, Adam": f"{adapters / 1e6:.2f} M, {16 * adapters / GIB:.3f} GiB",
            "text encoders, in main memory": _weights(texts),
        }
        for recomputed in (False, True):
            if recomputed:
                networks.base.enable_gradient_checkpointing()
            for name, loss in (("dreambooth", "none"), ("idbooth", "triplet")):
                most = step(networks, sizes, loss)
                held = 4 * (unet + vae + (recogniser if loss != "none" else 0)) + 12 * adapters
                how = ", gradient_checkpointing=true" if recomputed else ""
                rows[f"{name}{how}"] = f"{(held + most) / GIB:.1f} GiB, {most / GIB:.1f} of it for the step"
    return rows


def _weights(count: int) -> str:
    return f"{count / 1e6:,.0f} M, {4 * count / GIB:.2f} GiB"


def main() -> None:
    columns = {name: column(sizes) for name, sizes in MODELS.items()}
    table = Table("", *columns, title="Memory of LoRA training, computed, not measured")
    for row in next(iter(columns.values())):
        table.add_row(row, *(found[row] for found in columns.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
