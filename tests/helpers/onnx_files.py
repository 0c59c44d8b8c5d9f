"""Small real ONNX files with the signature of the face networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

# Row and column that the network looks at.
SEEN = (30, 70)


def one_pixel_times(path: Path, matrix: npt.NDArray[np.float32], size: int, batch: int | str = "n") -> Path:
    """Save a network that returns pixel SEEN (three channels) @ matrix for images (batch, 3, size, size)."""
    row, column = SEEN
    columns = matrix.shape[1]
    graph = helper.make_graph(
        [
            helper.make_node("Slice", ["input", "start", "end", "axes"], ["pixel"]),
            helper.make_node("Flatten", ["pixel"], ["flat"]),
            helper.make_node("MatMul", ["flat", "matrix"], ["output"]),
        ],
        "small",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3, size, size])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, columns])],
        [
            numpy_helper.from_array(matrix, "matrix"),
            numpy_helper.from_array(np.array([row, column]), "start"),
            numpy_helper.from_array(np.array([row + 1, column + 1]), "end"),
            numpy_helper.from_array(np.array([2, 3]), "axes"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path
