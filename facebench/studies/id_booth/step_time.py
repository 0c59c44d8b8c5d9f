"""Seconds that the networks of a base model take on this machine: measured once and stored, or computed.

Networks are built from the configuration of the base model with random weights, which take as long as trained ones.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from facebench.core.errors import InputError
from facebench.core.files import atomic_write_text
from facebench.core.json_files import read_json
from facebench.studies.id_booth.bases import BaseModel

UNET_TERA = {"sd": 0.8, "sdxl": 6.0}
"""Tera floating-point operations of one forward pass of the U-Net at 512 pixels (SD 2.1) and 1024 pixels (SDXL)."""
DECODER_TERA = {"sd": 2.5, "sdxl": 10.0}
"""The same for the decoder of the autoencoder."""
SIDES = {"sd": 512, "sdxl": 1024}
UTILISATION = 0.4
"""Share of the measured speed of matrix products that networks reach."""
BACKWARD = 2.0
"""Computed time of a backward pass, in forward passes."""
LONGEST = 60.0
"""Computed seconds of a measurement above which nothing is measured."""
MEMORY_FACTOR = 2.0
"""Memory of a measurement, in sizes of the weights."""


@dataclass(frozen=True)
class StepTime:
    """Seconds for one image.

    Attributes:
        unet: forward pass of the U-Net.
        training: forward and backward pass of the U-Net.
        decoder: forward pass of the decoder.
        source: "measured", or why it is computed.
    """

    unet: float
    training: float
    decoder: float
    source: str


def step_time(base: BaseModel, side: int, cache_file: Path) -> StepTime:
    """Return the times of a base model; a measurement is stored and used again.

    Args:
        base: the base model.
        side: side of the images in pixels.
        cache_file: JSON file of stored measurements.
    """
    computed = _computed(base, side)
    configs = None if base.problem else _configs(base)
    if configs is None:
        return StepTime(*computed, "computed: the base model is not on this machine")
    device, _ = matrix_speed()
    import torch

    key = hashlib.sha256(json.dumps([configs, side, device, torch.__version__]).encode()).hexdigest()[:16]
    stored = _stored(cache_file)
    if key in stored:
        return StepTime(**stored[key])
    unet, training, decoder = computed
    needed = 2 * unet + training + 2 * decoder
    if needed > LONGEST:
        return StepTime(*computed, f"computed: a measurement would take about {needed:.0f} s")
    if not _fits(configs):
        return StepTime(*computed, "computed: the networks do not fit in the free memory")
    measured = _measured(configs, side)
    cache_file.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(cache_file, json.dumps({**stored, key: asdict(measured)}, indent=1) + "\n")
    return measured


@cache
def matrix_speed() -> tuple[str, float]:
    """Measure matrix products on the best device; return its name and tera operations a second."""
    import torch

    device = _device()
    on_gpu = device.type == "cuda"
    side, repeats = (8192, 20) if on_gpu else (1024, 3)
    matrix = torch.ones(side, side, device=device, dtype=_precision(device))
    seconds = _seconds(lambda: [matrix @ matrix for _ in range(repeats)], device)
    name = torch.cuda.get_device_name() if on_gpu else str(device)
    return name, 2 * side**3 * repeats / seconds / 1e12


def _computed(base: BaseModel, side: int) -> tuple[float, float, float]:
    scale = (side / SIDES[base.kind]) ** 2 / (matrix_speed()[1] * UTILISATION)
    unet = UNET_TERA[base.kind] * scale
    return unet, unet * (1 + BACKWARD), DECODER_TERA[base.kind] * scale


def _configs(base: BaseModel) -> dict[str, Any] | None:
    """Read the configurations of the U-Net and of the autoencoder; None if one is missing."""
    from diffusers import AutoencoderKL, UNet2DConditionModel

    classes: dict[str, Any] = {"unet": UNet2DConditionModel, "vae": AutoencoderKL}
    try:
        return {
            part: loader.load_config(base.path, subfolder=part, local_files_only=True)
            for part, loader in classes.items()
        }
    except (OSError, ValueError):
        return None


def _stored(file: Path) -> dict[str, Any]:
    try:
        content = read_json(file) if file.is_file() else {}
    except InputError:
        return {}
    return content if isinstance(content, dict) else {}


def _fits(configs: dict[str, Any]) -> bool:
    import torch

    with torch.device("meta"):
        parts = _networks(configs)
    device = _device()
    count = sum(parameter.numel() for network in parts for parameter in network.parameters())
    needed = count * _precision(device).itemsize * MEMORY_FACTOR
    if device.type == "cuda":
        return bool(torch.cuda.mem_get_info()[0] > needed)
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return False  # not Linux: unknown
    return bool(free > needed)


def _networks(configs: dict[str, Any]) -> tuple[Any, Any]:
    from diffusers import AutoencoderKL, UNet2DConditionModel

    loaders: tuple[Any, Any] = UNet2DConditionModel, AutoencoderKL
    return loaders[0].from_config(configs["unet"]), loaders[1].from_config(configs["vae"])


def _measured(configs: dict[str, Any], side: int) -> StepTime:
    import torch

    device = _device()
    with torch.device(device):
        unet, vae = (
            network.to(_precision(device)).requires_grad_(False).eval() for network in _networks(configs)
        )
    scale = 2 ** (len(vae.config.block_out_channels) - 1)
    shape = (1, vae.config.latent_channels, side // scale, side // scale)
    latents = torch.randn(shape, device=device, dtype=_precision(device))
    conditions = _conditions(unet.config, device)

    def predict() -> Any:
        return unet(latents, 500, **conditions).sample

    def learn() -> None:
        latents.requires_grad_(True)
        predict().float().square().mean().backward()
        latents.requires_grad_(False)

    with torch.no_grad():
        forward = _seconds(predict, device)
        decoder = _seconds(lambda: vae.decode(latents).sample, device)
    return StepTime(forward, _seconds(learn, device, warm=False), decoder, "measured")


def _conditions(config: Any, device: Any) -> dict[str, Any]:
    import torch

    def random(*shape: int) -> Any:
        return torch.randn(shape, device=device, dtype=_precision(device))

    conditions: dict[str, Any] = {"encoder_hidden_states": random(1, 77, config.cross_attention_dim)}
    if config.addition_embed_type == "text_time":
        pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        conditions["added_cond_kwargs"] = {"text_embeds": random(1, pooled), "time_ids": random(1, 6)}
    return conditions


def _seconds(function: Callable[[], object], device: Any, warm: bool = True) -> float:
    if warm:
        function()
    _wait(device)
    start = time.perf_counter()
    function()
    _wait(device)
    return time.perf_counter() - start


def _device() -> Any:
    from facebench.training.engine.model_file import device_of

    return device_of("auto")


def _precision(device: Any) -> Any:
    import torch

    return torch.float16 if device.type == "cuda" else torch.float32


def _wait(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize()
