"""The network of SFace as a PyTorch module, with the weights of its ONNX file.

PyTorch needs half of onnxruntime's time for it, and runs on other devices. The outputs differ by rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from facebench.backbones.base import load_strictly
from facebench.backbones.onnx_network import image_inputs
from facebench.backbones.torch_network import unfilled
from facebench.backbones.weights.reading import reading
from facebench.core.errors import WeightsError

SIDE = 112
DIMENSIONS = 128
WIDTHS = (32, 64, 128, 128, 256, 256, *6 * (512,), 1024, 1024)
"""Channels of the first convolution and of the 13 separable ones."""
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
"""Strides of the 13 separable convolutions."""
OPERATORS = (
    *("Sub", "Mul"),
    *27 * ("Conv", "BatchNormalization", "PRelu"),
    *("BatchNormalization", "Dropout", "Flatten", "Gemm", "BatchNormalization"),
)
_WITH_WEIGHTS = {"Conv", "BatchNormalization", "PRelu", "Gemm"}
_EPS, _LAST_EPS = 1e-3, 2e-5
_Array = npt.NDArray[Any]


class Scaling(nn.Module):
    """Map pixels from 0 to 255 to values from -1 to 1."""

    def forward(self, crops: Tensor) -> Tensor:
        """Compute (x - 127.5) / 128."""
        return (crops - 127.5) * 0.0078125


def read_network(path: Path) -> nn.Sequential:
    """Read SFace: crops (n, 3, 112, 112), RGB from 0 to 255, to raw vectors (n, 128).

    Raises:
        WeightsError: the file is damaged or contains another network.
    """
    with reading(path, "SFace's ONNX file"):
        graph = onnx.load(path).graph
        _check_ends(graph, path)
        weights = list(_weights(graph))
    network = unfilled(_network)
    names = [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
    if len(weights) != len(names):
        raise WeightsError(
            f"{path} has {len(weights)} weights, SFace has {len(names)}. It is another network."
        )
    state = dict(zip(names, weights, strict=True))
    counters = {name: torch.tensor(0) for name in network.state_dict() if name not in state}
    load_strictly(network, state | counters, str(path))
    return network


def _check_ends(graph: onnx.GraphProto, path: Path) -> None:
    inputs = image_inputs(graph)
    shapes = [[dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in inputs]
    outputs = [value.name for value in graph.output]
    if [value.name for value in inputs] != ["data"] or shapes != [[1, 3, SIDE, SIDE]] or outputs != ["fc1"]:
        raise WeightsError(
            f"{path} takes {shapes} and gives {outputs}. SFace takes one 112 x 112 RGB image as 'data' and gives "
            "'fc1'. The file contains another network."
        )


def _network() -> nn.Sequential:
    layers: list[nn.Module] = [Scaling(), *_convolution(3, WIDTHS[0])]
    for (inputs, outputs), stride in zip(pairwise(WIDTHS), STRIDES, strict=True):
        layers += _convolution(inputs, inputs, stride, groups=inputs)
        layers += _convolution(inputs, outputs, kernel=1)
    side = SIDE // int(np.prod(STRIDES))
    return nn.Sequential(
        *layers,
        nn.BatchNorm2d(WIDTHS[-1], eps=_LAST_EPS),
        nn.Flatten(),
        nn.Linear(WIDTHS[-1] * side * side, DIMENSIONS),
        nn.BatchNorm1d(DIMENSIONS, eps=_LAST_EPS),
    )


def _convolution(
    inputs: int, outputs: int, stride: int = 1, *, kernel: int = 3, groups: int = 1
) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs, eps=_EPS), nn.PReLU(outputs)]


def _weights(graph: onnx.GraphProto) -> Iterator[Tensor]:
    """Return the weights in the order of the nodes that use them.

    Raises:
        ValueError: the nodes differ from those of SFace.
    """
    constants = {value.name: numpy_helper.to_array(value) for value in graph.initializer}
    operators = []
    for node in graph.node:
        arguments = [constants[name] for name in node.input if name in constants]
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        elif node.op_type == "DequantizeLinear":
            quantised, scales, zeros = arguments
            attributes = {item.name: item.i for item in node.attribute}
            constants[node.output[0]] = dequantised(
                quantised, scales, zeros, attributes["block_size"], attributes["axis"]
            )
        elif node.op_type == "Reshape":
            constants[node.output[0]] = arguments[0].reshape(arguments[1])
        else:
            operators.append(node.op_type)
            if node.op_type in _WITH_WEIGHTS:
                # A slope per channel has the shape (channels, 1, 1).
                weights = [value.squeeze() if node.op_type == "PRelu" else value for value in arguments]
                yield from (torch.from_numpy(np.array(value, np.float32)) for value in weights)
    if tuple(operators) != OPERATORS:
        raise ValueError(f"its operators are not those of SFace: {', '.join(sorted(set(operators)))}")


def dequantised(quantised: _Array, scales: _Array, zeros: _Array, block_size: int, axis: int) -> _Array:
    """Return (quantised - zero) * scale, where blocks along `axis` share one zero and one scale.

    Source: ONNX operator DequantizeLinear, version 21.

    Example:
        >>> dequantised(np.int8([1, 2, 3]), np.float32([0.5, 2]), np.int8([0, 1]), 2, 0)
        array([0.5, 1. , 4. ], dtype=float32)
    """
    places = np.arange(quantised.shape[axis]) // block_size
    scale, zero = (np.take(values, places, axis) for values in (scales, zeros))
    return np.asarray((quantised.astype(np.float32) - zero.astype(np.float32)) * scale)
