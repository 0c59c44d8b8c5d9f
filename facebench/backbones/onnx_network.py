"""A network in an ONNX file, run on the CPU by onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

from facebench.core.errors import WeightsError


class OnnxNetwork:
    """One float32 image batch in, one float32 matrix out; the file's signature is checked when it is opened.

    Files exported with a fixed batch of one are run row by row.
    """

    def __init__(self, path: Path, size: int, columns: int) -> None:
        """Open the file.

        Args:
            path: the ONNX file.
            size: side of the square input it must take, (n, 3, size, size).
            columns: width of the matrix it must give, (n, columns).

        Raises:
            WeightsError: not an ONNX file, or one of another network.
        """
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), _options(), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            raise WeightsError(f"{path} cannot be read as an ONNX network: {_first_line(error)}") from None
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        found = f"takes {[i.shape for i in inputs]} and gives {[o.shape for o in outputs]}"
        wanted = f"(n, 3, {size}, {size}) and (n, {columns})"
        if len(inputs) != 1 or len(outputs) != 1 or not _fits(inputs[0].shape, (3, size, size)):
            raise WeightsError(f"{path} {found}; expected {wanted}. It is another network's file.")
        if not _fits(outputs[0].shape, (columns,)):
            raise WeightsError(f"{path} {found}; expected {wanted}. It is another network's file.")
        self._input: str = inputs[0].name
        self._one_by_one: bool = inputs[0].shape[0] == 1

    def __call__(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Run the network: (n, 3, size, size) to (n, columns)."""
        step = 1 if self._one_by_one else max(len(batch), 1)
        rows = [
            self._session.run(None, {self._input: batch[i : i + step]})[0] for i in range(0, len(batch), step)
        ]
        return np.concatenate(rows).astype(np.float32, copy=False)


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Published files declare one row and take many: not worth a warning each time.
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _fits(shape: list[int | str | None], wanted: tuple[int, ...]) -> bool:
    """Whether a declared shape agrees behind the batch axis; names and None stand for any number."""
    return len(shape) == len(wanted) + 1 and all(
        not isinstance(a, int) or a == b for a, b in zip(shape[1:], wanted, strict=True)
    )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
