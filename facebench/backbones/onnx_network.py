"""Networks in ONNX files, run by onnxruntime on the CPU."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx.external_data_helper import uses_external_data

from facebench.backbones.weights.reading import reading
from facebench.core.errors import WeightsError

_Floats = npt.NDArray[np.float32]


class OnnxNetwork:
    """A network with one float32 image batch as input and one float32 matrix as output.

    Files with a fixed batch size of one are run row by row.
    """

    def __init__(self, path: Path, size: int, columns: int) -> None:
        """Open the file and check its input and output.

        Args:
            path: the ONNX file.
            size: side of the square input, (n, 3, size, size).
            columns: width of the output, (n, columns).

        Raises:
            WeightsError: the file is not an ONNX file, or contains another network.
        """
        self._path, self._columns = path, columns
        self._session = open_session(path)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        actual = f"takes {[i.shape for i in inputs]} and gives {[o.shape for o in outputs]}"
        expected = f"(n, 3, {size}, {size}) and (n, {columns})"
        if not (_fits(inputs, (3, size, size)) and _fits(outputs, (columns,))):
            raise WeightsError(f"{path} {actual}; expected {expected}. It contains another network.")
        self._input: str = inputs[0].name
        self._one_by_one: bool = inputs[0].shape[0] == 1

    def __call__(self, batch: _Floats) -> _Floats:
        """Run the network: (n, 3, size, size) to (n, columns).

        Raises:
            WeightsError: the network fails, or its output has another shape than the file declares.
        """
        step = 1 if self._one_by_one else max(len(batch), 1)
        rows = [
            run_session(self._session, self._path, {self._input: batch[i : i + step]}, self._columns)
            for i in range(0, len(batch), step)
        ]
        return np.concatenate(rows).astype(np.float32, copy=False)


def open_session(
    path: Path, options: onnxruntime.SessionOptions | None = None, *, content: bytes | None = None
) -> onnxruntime.InferenceSession:
    """Open an ONNX file for the CPU.

    Args:
        path: the ONNX file.
        options: options of onnxruntime; `session_options()` when None.
        content: patched content of the file, which is opened instead.

    Raises:
        WeightsError: the file is not an ONNX file, or onnxruntime cannot open it.
    """
    with reading(path, "an ONNX network"):
        # Without fallback: onnxruntime would print the error and repeat the same attempt.
        return onnxruntime.InferenceSession(
            str(path) if content is None else content,
            options or session_options(),
            providers=["CPUExecutionProvider"],
            enable_fallback=0,
        )


def image_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs that a run has to give: a node reads them, and the file holds no value for them.

    Old files list weights as inputs too, and quantised files list weights that no node reads any more.
    """
    read = _names_read(graph)
    held = {value.name for value in (*graph.initializer, *graph.sparse_initializer)}
    return [value for value in graph.input if value.name in read - held]


def _names_read(graph: onnx.GraphProto) -> set[str]:
    """Return the names that the nodes of a graph read, with those of the branches and loops in it."""
    names = {name for node in graph.node for name in node.input}
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            names |= _names_read(inner)
    return names


def copy_complete(source: Path, target: Path) -> None:
    """Copy an ONNX file; weights that lie in files beside it are written into the copy.

    Raises:
        WeightsError: a file of weights is missing, or the network is larger than one ONNX file may be (2 GB).
    """
    with reading(source, "an ONNX network with its files of weights"):
        model = onnx.load(source, load_external_data=False)
        if any(map(uses_external_data, model.graph.initializer)):
            onnx.save(onnx.load(source), target)
            return
    shutil.copyfile(source, target)


def run_session(
    session: onnxruntime.InferenceSession, path: Path, inputs: dict[str, _Floats], columns: int
) -> _Floats:
    """Run a network and check the shape of its only output, (n, columns).

    Raises:
        WeightsError: the network fails, or its output has another shape.
    """
    with reading(path, "an ONNX network that runs"):
        output = session.run(None, inputs)[0]
    rows = len(next(iter(inputs.values())))
    if output.shape != (rows, columns):
        raise WeightsError(f"{path} gives an output of shape {output.shape}, expected {(rows, columns)}.")
    return np.asarray(output)


def session_options() -> onnxruntime.SessionOptions:
    """Return options with the number of threads of PyTorch, and without warnings."""
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Published files declare a batch of one and accept larger ones, which onnxruntime would warn about.
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _fits(arguments: list[Any], shape: tuple[int, ...]) -> bool:
    """Return whether there is one float32 argument of this shape after the batch axis.

    Symbolic dimensions fit every number.
    """
    if len(arguments) != 1 or arguments[0].type != "tensor(float)":
        return False
    declared: list[int | str | None] = arguments[0].shape
    return len(declared) == len(shape) + 1 and all(
        not isinstance(a, int) or a == b for a, b in zip(declared[1:], shape, strict=True)
    )
