"""Memory of a training step of a rig, and the number of parts into which a batch must be split to fit.

    bytes(step) = 16 · parameters + (activations of one image) · (images of a part)

16 bytes per parameter are weight, gradient and two moments of Adam in float32. Activations are the tensors that the
forward pass saves for the backward pass; they are counted on tensors without data.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facebench.core.errors import InputError
from facebench.training.models import CompactRig, CompactRigConfig, DiffusionRig, DiffusionRigConfig, Rig
from facebench.training.models.config import NetworkConfig
from facebench.training.models.diffusionrig import BUFFER_CHANNELS
from facebench.training.models.diffusionrig_emo import DiffusionRigEmo, DiffusionRigEmoConfig

BYTES_PER_PARAMETER = 16
USABLE = 0.9
"""Share of the free memory that a step may use."""


def build_rig(config: NetworkConfig) -> Rig:
    """Build the untrained network of a configuration."""
    if isinstance(config, DiffusionRigEmoConfig):
        return DiffusionRigEmo(config)
    if isinstance(config, DiffusionRigConfig):
        return DiffusionRig(config)
    assert isinstance(config, CompactRigConfig)
    return CompactRig(config)


def bytes_per_image(config: NetworkConfig) -> int:
    """Bytes that the forward pass of one image saves for the backward pass, in float32.

    Example:
        >>> small, wide = (DiffusionRigConfig(size=16, multipliers=(1,), channels=c) for c in (32, 64))
        >>> bytes_per_image(wide) > bytes_per_image(small) > 0
        True
    """
    with torch.device("meta"):
        network = build_rig(config).train()
    saved = 0

    def count(tensor: Tensor) -> Tensor:
        nonlocal saved
        if not isinstance(tensor, nn.Parameter):
            saved += tensor.numel() * tensor.element_size()
        return tensor

    # Batch normalisation needs more than one image.
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        one_step(network, 2, "meta")
    return saved // 2


def one_step(network: Rig, images: int, device: str) -> Tensor:
    """Compute the mean squared prediction of some images without content, as a training step does."""
    size = network.config.size
    photo = torch.zeros(images, 3, size, size, device=device)
    conditions = torch.zeros(images, BUFFER_CHANNELS, size, size, device=device)
    t = torch.zeros(images, dtype=torch.int64, device=device)
    codes = []
    if isinstance(network.config, DiffusionRigEmoConfig):
        widths = (network.config.shape_channels, network.config.identity_channels)
        codes = [torch.zeros(images, width, device=device) for width in widths]
    eps = network.driven_by(conditions, *codes)(photo, t, network.encode(photo))
    return eps.square().mean()


def parameter_bytes(config: NetworkConfig) -> int:
    """Bytes of weights, gradients and moments."""
    with torch.device("meta"):
        network = build_rig(config)
    return BYTES_PER_PARAMETER * sum(parameter.numel() for parameter in network.parameters())


def parts_that_fit(batch_size: int, per_image: int, fixed: int, available: int) -> int:
    """Return the smallest number of equal parts of a batch of which one fits into the memory.

    Args:
        batch_size: images of a step.
        per_image: bytes of the activations of one image.
        fixed: bytes of weights, gradients and moments.
        available: free bytes of the device.

    Raises:
        InputError: not even one image fits.

    Example:
        >>> parts_that_fit(16, per_image=2_000, fixed=10_000, available=20_000)
        4
    """
    for parts in (p for p in range(1, batch_size + 1) if batch_size % p == 0):
        if fixed + per_image * (batch_size // parts) <= USABLE * available:
            return parts
    needed = (fixed + per_image) / 1e9
    raise InputError(
        f"One image needs {needed:.1f} GB of memory, {available / 1e9:.1f} GB are free. Use a smaller network, or "
        "gradient_checkpointing=true."
    )


def free_memory() -> int | None:
    """Free bytes of the first CUDA device; None without one."""
    if not torch.cuda.is_available():
        return None
    return int(torch.cuda.mem_get_info()[0])
