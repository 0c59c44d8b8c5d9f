"""Base class of PyTorch backbones: exact float32, no gradients, results as NumPy arrays."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from facebench.backbones.base import Backbone, WeightsUsed

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Network = TypeVar("Network", bound="nn.Module")


@dataclass(frozen=True)
class Deferred:
    """A network that is built on first use: results from the feature store need neither it nor torch.

    It suits verified weights whose network is slow to build.
    """

    build: Callable[[], nn.Module]


class TorchBackbone(Backbone):
    """A backbone whose network runs in PyTorch, in eval mode and in exact float32.

    Subclasses define `preprocess` and `run`.

    Args:
        name: name of the backbone.
        network: the network, or one that is built on first use.
        weights: what the record states about the weights.
        device: a torch device.
    """

    channels_last: ClassVar[bool] = False
    """Whether the CPU uses the memory format `channels_last`, which speeds up depthwise convolutions."""

    def __init__(self, name: str, network: nn.Module | Deferred, weights: WeightsUsed, device: str) -> None:
        self.name = name
        self.weights = weights
        self._device = device
        if isinstance(network, Deferred):
            self._deferred = network
        else:
            self.network = self._placed(network)

    @cached_property
    def device(self) -> torch.device:  # type: ignore[override]
        """The device of the network."""
        import torch

        return torch.device(self._device)

    @cached_property
    def network(self) -> nn.Module:  # type: ignore[override]
        """The PyTorch module, in eval mode, without gradients, on the device."""
        return self._placed(self._deferred.build())

    @property
    def _layout(self) -> torch.memory_format:
        import torch

        on_cpu = self.device.type == "cpu"
        return torch.channels_last if self.channels_last and on_cpu else torch.contiguous_format

    def _placed(self, network: nn.Module) -> nn.Module:
        network = network.requires_grad_(False).eval().to(self.device)
        return network.to(memory_format=self._layout) if self.channels_last else network

    @abstractmethod
    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Compute the named arrays of a batch on the network's device."""

    def embed(self, batch: Tensor) -> dict[str, npt.NDArray[np.float32]]:
        """Run the network on stacked inputs; every array has one row per input."""
        import torch

        with exact_float32(), torch.inference_mode():
            arrays = self.run(batch.to(self.device).contiguous(memory_format=self._layout))
            return {name: array.float().cpu().numpy() for name, array in arrays.items()}


@contextmanager
def exact_float32() -> Iterator[None]:
    """Disable TF32, reduced precision and non-deterministic kernels; the previous settings are restored."""
    settings = _exact_settings()
    before = [getattr(owner, name) for owner, name, _ in settings]
    try:
        for owner, name, value in settings:
            setattr(owner, name, value)
        yield
    finally:
        for (owner, name, _), value in zip(settings, before, strict=True):
            setattr(owner, name, value)


def _exact_settings() -> list[tuple[Any, str, Any]]:
    """Return attributes of PyTorch's backends with the values that give exact, deterministic float32."""
    import torch

    cuda: Any = torch.backends.cuda
    cudnn: Any = torch.backends.cudnn
    mkldnn: Any = torch.backends.mkldnn
    settings = [(cudnn, "deterministic", True), (cudnn, "benchmark", False)]
    if not hasattr(cudnn, "conv"):  # before PyTorch 2.9
        return [*settings, (cuda.matmul, "allow_tf32", False), (cudnn, "allow_tf32", False)]
    backends = (cuda.matmul, cudnn.conv, mkldnn.matmul, mkldnn.conv)
    return [*settings, *((backend, "fp32_precision", "ieee") for backend in backends)]


def unfilled(build: Callable[[], Network]) -> Network:
    """Build a network on the CPU with uninitialised parameters and buffers.

    This skips the initialisation that `load_strictly` would overwrite.
    """
    import torch

    with torch.device("meta"):
        network = build()
    # `Module.to_empty` does the same, but imports the decompositions of PyTorch: 0.7 s.
    network._apply(lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype))  # type: ignore[no-untyped-call]
    return network
