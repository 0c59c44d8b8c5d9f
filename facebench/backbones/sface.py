"""SFace, the face recogniser of the compact suite (Zhong et al. 2021), run by onnxruntime on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from torch import Tensor

from facebench.backbones.base import Backbone, Crop, Image
from facebench.backbones.weights import Given
from facebench.core.errors import WeightsError

SIDE = 112
DIMENSIONS = 128


class SFace(Backbone):
    """128 numbers for an aligned face: the cosine of two says whether they show the same person.

    The input is RGB, 0 to 255; the network itself subtracts 127.5 and divides by 128. Arrays: `embedding`
    (n, 128), unit length, and `norm` (n,), its length before.
    """

    crop: ClassVar[Crop] = "face112"
    preprocessing = "rgb-0-255-v1"
    arrays = ("embedding", "norm")
    network = None

    def __init__(self, name: str, given: Given) -> None:
        """Open the ONNX file that was given.

        Raises:
            WeightsError: the file is missing, damaged or holds another network.
        """
        self.name = name
        self.weights = given.used()
        self.device = torch.device("cpu")
        self._session = open_sface(given.file())

    def preprocess(self, image: Image) -> Tensor:
        """Turn an aligned crop, uint8 (112, 112, 3) RGB, into float32 (3, 112, 112), 0 to 255."""
        return to_input(image)

    def embed(self, batch: Tensor) -> dict[str, npt.NDArray[np.float32]]:
        """Run the network on (n, 3, 112, 112)."""
        return unit_and_norm(self._session.run(["fc1"], {"data": batch.numpy()})[0])


def build(name: str, given: Given, device: str) -> SFace:
    """Build SFace; it runs on the CPU whatever the device."""
    return SFace(name, given)


def open_sface(path: Path) -> onnxruntime.InferenceSession:
    """Open SFace's ONNX file for batches of any size; its weights are dequantised once, here.

    Raises:
        WeightsError: not an ONNX file, or not this network.
    """
    try:
        return onnxruntime.InferenceSession(
            mended(path).SerializeToString(), session_options(), providers=["CPUExecutionProvider"]
        )
    except WeightsError:
        raise
    except Exception as error:  # protobuf's and onnxruntime's exceptions share no base class
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise WeightsError(f"{path} cannot be read as SFace's ONNX file: {reason}") from error


def mended(path: Path) -> onnx.ModelProto:
    """Read SFace's ONNX file and mend what keeps onnxruntime from running it, in memory.

    The block-quantised file declares its dequantised weights as inputs of the graph although no node reads
    them, which onnxruntime would then insist on; and it fixes the batch at one image, in all shapes it states.

    Raises:
        WeightsError: a file of another network.
    """
    model = onnx.load(path)
    graph = model.graph
    read = {name for node in graph.node for name in node.input}
    made = {value.name for value in graph.initializer} | {name for node in graph.node for name in node.output}
    inputs = [value for value in graph.input if value.name in read - made]
    shapes = [[dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in inputs]
    outputs = [value.name for value in graph.output]
    if [value.name for value in inputs] != ["data"] or shapes != [[1, 3, SIDE, SIDE]] or outputs != ["fc1"]:
        raise WeightsError(
            f"{path} takes {shapes} and gives {outputs}; SFace takes one 112x112 RGB image as 'data' "
            "and gives 'fc1'. It is another network's file."
        )
    del graph.input[:], graph.value_info[:]
    graph.input.extend(inputs)
    for value in (graph.input[0], graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    return model


def to_input(image: Image) -> Tensor:
    """Turn uint8 (height, width, 3) into float32 (3, height, width), 0 to 255."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float()


def unit_and_norm(vectors: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
    """Split vectors (n, d) into unit directions and lengths; a zero vector has no direction (NaN)."""
    exact = vectors.astype(np.float64)
    norm = np.linalg.norm(exact, axis=1)
    with np.errstate(invalid="ignore"):
        unit = exact / norm[:, None]
    return {"embedding": unit.astype(np.float32), "norm": norm.astype(np.float32)}


def session_options() -> onnxruntime.SessionOptions:
    """As many threads as PyTorch uses, float32 arithmetic, no warnings."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    # Plain float32 arithmetic: a row then has the same bits in a batch of any size.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
