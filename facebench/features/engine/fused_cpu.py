"""Fused CPU inference: channels-last memory, and convolution, batch normalisation and activation as one operator.

In evaluation mode, batch normalisation is an affine map per channel, which is folded into the weights of the
preceding convolution. oneDNN applies the activation while the output of the convolution is in the processor's cache.
The results differ from those of the plain network by rounding (about 1e-7 of the largest value). The plain network is
used if the operators are missing, fail, or give a result that differs by more than `TOLERANCE`.

The operators are private to torch. Only `_mkldnn_operators` refers to them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple, TypeGuard
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from facebench.backbones.base import Backbone

MIN_CONVOLUTIONS = 4
"""Networks with fewer convolutions run unchanged."""
TOLERANCE = 1e-5
"""Largest accepted difference from the plain network, as a fraction of its largest value (or of 1)."""

_RELU = {functional.relu, torch.relu, torch.relu_, "relu", "relu_"}


class Operators(NamedTuple):
    """Operators of oneDNN."""

    reorder_weight: Callable[..., Tensor]
    convolve: Callable[..., Tensor]


def _mkldnn_operators() -> Operators | None:
    """Return the private oneDNN operators of torch; None if this build of torch lacks them.

    Verified with torch 2.14.1 on x86-64. Versions 2.6 to 2.13, which facebench also accepts, are unverified.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return None
    try:
        namespace = torch.ops.mkldnn
        return Operators(namespace._reorder_convolution_weight, namespace._convolution_pointwise)
    except AttributeError:
        return None


class Activation(NamedTuple):
    """Function that oneDNN applies to the output of a convolution."""

    name: str
    bounds: tuple[float, ...] = ()
    """Smallest and largest output of `hardtanh`."""


NO_ACTIVATION, RELU, RELU6 = Activation("none"), Activation("relu"), Activation("hardtanh", (0.0, 6.0))


class FusedConvolution(nn.Module):
    """Convolution with folded batch normalisation, followed by ReLU or ReLU6 if requested.

    Args:
        convolution: the convolution.
        norm: the batch normalisation that follows it, if any.
        activation: what follows.
        operators: operators of oneDNN.
    """

    def __init__(
        self,
        convolution: nn.Conv2d,
        norm: nn.BatchNorm2d | None,
        activation: Activation,
        operators: Operators,
    ) -> None:
        super().__init__()
        folded = convolution if norm is None else fuse_conv_bn_eval(convolution, norm)
        self._weight = folded.weight.detach()
        self._bias = None if folded.bias is None else folded.bias.detach()
        self._reordered = False
        self._geometry = (folded.padding, folded.stride, folded.dilation, folded.groups)
        self._activation = activation
        self._operators = operators

    def forward(self, inputs: Tensor) -> Tensor:
        """Convolve; the first call reorders the weights for the input size."""
        if not self._reordered:
            reorder = self._operators.reorder_weight
            self._weight = reorder(self._weight, *self._geometry, list(inputs.shape))
            self._reordered = True
        return self._operators.convolve(
            inputs,
            self._weight,
            self._bias,
            *self._geometry,
            self._activation.name,
            list(self._activation.bounds),
            "",
        )


# Backbone -> a fused copy that was not compared yet, or None if there is none.
_CANDIDATES: WeakKeyDictionary[Backbone, Backbone | None] = WeakKeyDictionary()
# Backbone -> its fused copy, or None if the plain network is used.
_FUSED_COPIES: WeakKeyDictionary[Backbone, Backbone | None] = WeakKeyDictionary()


def trace(backbone: Backbone) -> Backbone | None:
    """Make the fused copy of a backbone once; None if there is none.

    While torch traces a network, it replaces the call of every module of the process. So the copy must be made before
    other threads run modules.
    """
    if backbone not in _CANDIDATES:
        _CANDIDATES[backbone] = fused_copy(backbone)
    return _CANDIDATES[backbone]


def embed(backbone: Backbone, batch: Tensor) -> dict[str, npt.NDArray[np.float32]]:
    """Compute `backbone.embed(batch)`, on a CPU with a fused copy of the network if that gives the same results.

    The first call makes the copy and decides whether it is used. The decision depends on the network and not on the
    images, so that a resumed run makes the same one.
    """
    if backbone not in _FUSED_COPIES:
        candidate = trace(backbone)
        usable = candidate is not None and _is_equivalent(candidate, backbone, probe(batch.shape))
        _FUSED_COPIES[backbone] = candidate if usable else None
    return (_FUSED_COPIES[backbone] or backbone).embed(batch)


def probe(shape: torch.Size) -> Tensor:
    """Return the input on which a fused copy is compared with the plain network: uniform noise with a fixed seed."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def _is_equivalent(fused: Backbone, plain: Backbone, inputs: Tensor) -> bool:
    """Whether the fused copy runs, and its first result equals that of the plain network within the tolerance."""
    try:
        arrays = fused.embed(inputs)
    except torch.OutOfMemoryError:
        raise
    except Exception:  # a private operator may reject its arguments in any way
        return False
    return _agree(arrays, plain.embed(inputs[:1]))


def _agree(arrays: dict[str, npt.NDArray[np.float32]], expected: dict[str, npt.NDArray[np.float32]]) -> bool:
    """Whether the first row equals the expected one within the tolerance."""
    for name, values in expected.items():
        scale = np.abs(values[np.isfinite(values)]).max(initial=1)
        if not np.allclose(arrays[name][:1], values, rtol=0, atol=TOLERANCE * scale, equal_nan=True):
            return False
    return True


def fused_copy(backbone: Backbone) -> Backbone | None:
    """Return a copy of a backbone that runs the same network faster on a CPU.

    A network that cannot be traced runs unfused in channels-last memory.

    Returns:
        None on other devices, for networks with few or no convolutions, and if torch lacks the operators.
    """
    network = backbone.network
    operators = _mkldnn_operators()
    if operators is None or backbone.device.type != "cpu" or not isinstance(network, nn.Module):
        return None
    if sum(isinstance(module, nn.Conv2d) for module in network.modules()) < MIN_CONVOLUTIONS:
        return None
    try:
        fused: nn.Module = fuse(network, operators)
    except Exception:  # tracing runs the code of the network, which may raise anything
        fused = copy.deepcopy(network).to(memory_format=torch.channels_last)
    fused.register_forward_pre_hook(_to_channels_last)
    result = copy.copy(backbone)
    result.network = fused
    return result


def fuse(network: nn.Module, operators: Operators) -> fx.GraphModule:
    """Replace every chain of convolution, normalisation and activation by one module; other weights are shared.

    Example:
        >>> plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
        >>> fused = fuse(plain, _mkldnn_operators())
        >>> [node.target for node in fused.graph.nodes if node.op == "call_module"]
        ['0']
    """
    traced = fx.symbolic_trace(network)
    calls: dict[str, int] = {}
    for node in traced.graph.nodes:
        if node.op == "call_module":
            calls[node.target] = calls.get(node.target, 0) + 1
    for node in list(traced.graph.nodes):
        if node.op == "call_module" and calls[node.target] == 1:
            _fuse_chain(traced, node, operators)
    traced.graph.lint()
    traced.recompile()
    for name, child in network.named_children():
        if not hasattr(traced, name):  # modules that the backbone calls directly
            traced.add_module(name, child)
    return traced


def _fuse_chain(traced: fx.GraphModule, node: fx.Node, operators: Operators) -> None:
    """Replace the convolution at `node`, and the normalisation and activation after it, by one module."""
    convolution = traced.get_submodule(str(node.target))
    if not _is_fusible(convolution):
        return
    last, norm = node, None
    follower = _only_user(last)
    if follower is not None and follower.op == "call_module":
        module = traced.get_submodule(str(follower.target))
        if isinstance(module, nn.BatchNorm2d):
            last, norm, follower = follower, module, _only_user(follower)
    activation = NO_ACTIVATION if follower is None else _activation(traced, follower)
    if activation is not NO_ACTIVATION and follower is not None:
        last = follower
    fused = FusedConvolution(convolution, norm, activation, operators)
    parent, _, name = str(node.target).rpartition(".")
    setattr(traced.get_submodule(parent), name, fused)
    _erase_chain(traced, node, last)


def _erase_chain(traced: fx.GraphModule, first: fx.Node, last: fx.Node) -> None:
    """Erase the nodes after `first` up to `last`; users of `last` receive the output of `first`."""
    if last is first:
        return
    last.replace_all_uses_with(first)
    node = last
    while node is not first:
        previous = node.all_input_nodes[0]
        traced.graph.erase_node(node)
        node = previous


def _is_fusible(module: Any) -> TypeGuard[nn.Conv2d]:
    return (
        type(module) is nn.Conv2d and module.padding_mode == "zeros" and not isinstance(module.padding, str)
    )


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _activation(traced: fx.GraphModule, node: fx.Node) -> Activation:
    """Return the activation that a node computes."""
    if node.op == "call_module":
        kind = type(traced.get_submodule(str(node.target)))
        return {nn.ReLU: RELU, nn.ReLU6: RELU6}.get(kind, NO_ACTIVATION)
    is_relu = node.op in ("call_function", "call_method") and node.target in _RELU
    return RELU if is_relu else NO_ACTIVATION


def _to_channels_last(network: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Convert image batches to channels-last memory."""
    return tuple(
        value.contiguous(memory_format=torch.channels_last)
        if isinstance(value, Tensor) and value.dim() == 4
        else value
        for value in inputs
    )
