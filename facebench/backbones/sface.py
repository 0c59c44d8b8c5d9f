"""SFace: face identity as a unit vector of 128 numbers, from an ONNX file.

Measures: identity; the cosine of two embeddings is high for images of the same person.
Input: aligned crop `face112`, RGB, uint8 0 to 255 as float32; the network subtracts 127.5 and divides by 128.
Arrays: `embedding` (n, 128) of unit length, `norm` (n,).
Licence: Apache-2.0 (OpenCV zoo, int8 block-quantised file of 2021-12).
Paper: Zhong et al. 2021, "SFace: Sigmoid-constrained hypersphere loss for robust face recognition".
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from facebench.backbones.base import Backbone, Crop, Image
from facebench.backbones.onnx_network import image_inputs, open_session, run_session
from facebench.backbones.onnx_network import session_options as default_options
from facebench.backbones.weights import WeightsSource
from facebench.backbones.weights.reading import reading
from facebench.core.errors import WeightsError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SIDE = 112
DIMENSIONS = 128


class SFace(Backbone):
    """SFace embeddings of aligned faces: `embedding` (n, 128) of unit length and `norm` (n,).

    The similarity of two faces is the dot product of their embeddings, in [-1, 1]. `norm` is the length of the
    raw output. The network runs on the CPU.
    """

    crop: ClassVar[Crop] = "face112"
    preprocessing = "rgb-0-255-v1"
    arrays = ("embedding", "norm")
    network = None

    def __init__(self, name: str, source: WeightsSource) -> None:
        """Open the ONNX file.

        Raises:
            WeightsError: the file is missing, damaged or contains another network.
        """
        self.name = name
        self.weights = source.used()
        self._network = SFaceNetwork(source.file())

    @cached_property
    def device(self) -> torch.device:  # type: ignore[override]
        """The device of the network, the CPU."""
        import torch

        return torch.device("cpu")

    def preprocess(self, image: Image) -> Tensor:
        """Convert an aligned crop, uint8 (112, 112, 3) RGB, to float32 (3, 112, 112), 0 to 255."""
        return to_input(image)

    def embed(self, batch: Tensor) -> dict[str, npt.NDArray[np.float32]]:
        """Compute `embedding` and `norm` of crops (n, 3, 112, 112)."""
        return unit_and_norm(self._network(batch))


class SFaceNetwork:
    """The network in SFace's ONNX file, for batches of any size: (n, 3, 112, 112) to raw vectors (n, 128)."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            WeightsError: the file is not an ONNX file, or contains another network.
        """
        self._path, self._content = path, patch_onnx(path).SerializeToString()

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        """The session, opened on first use: known embeddings need none, and opening takes 0.1 s."""
        return open_session(self._path, session_options(), content=self._content)

    def __call__(self, batch: Tensor) -> npt.NDArray[np.float32]:
        """Run the network on crops as `to_input` returns them.

        Raises:
            WeightsError: the network in the file fails.
        """
        return run_session(self._session, self._path, {"data": batch.numpy()}, DIMENSIONS)


def build(name: str, source: WeightsSource, device: str) -> SFace:
    """Build `sface`; `device` is ignored, the network runs on the CPU."""
    return SFace(name, source)


def patch_onnx(path: Path) -> onnx.ModelProto:
    """Read SFace's ONNX file and patch it in memory, so that onnxruntime accepts batches.

    The block-quantised file lists its dequantised weights as graph inputs although no node reads them;
    onnxruntime would require them. The file also declares a batch of one image in all shapes.

    Raises:
        WeightsError: the file is damaged or contains another network.
    """
    with reading(path, "SFace's ONNX file"):
        model = onnx.load(path)
        graph = model.graph
        inputs = image_inputs(graph)
        shapes = [[dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in inputs]
        outputs = [value.name for value in graph.output]
        names = [value.name for value in inputs]
    if names != ["data"] or shapes != [[1, 3, SIDE, SIDE]] or outputs != ["fc1"]:
        raise WeightsError(
            f"{path} takes {shapes} and gives {outputs}. SFace takes one 112 x 112 RGB image as 'data' and gives "
            "'fc1'. The file contains another network."
        )
    del graph.input[:], graph.value_info[:]
    graph.input.extend(inputs)
    with reading(path, "SFace's ONNX file"):
        for value in (graph.input[0], graph.output[0]):
            value.type.tensor_type.shape.dim[0].dim_param = "n"
    return model


def to_input(image: Image) -> Tensor:
    """Convert uint8 (height, width, 3) to float32 (3, height, width), 0 to 255."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float()


def unit_and_norm(vectors: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
    """Split vectors (n, d) into `embedding` of unit length and `norm`; a zero vector gives NaN."""
    exact = vectors.astype(np.float64)
    norm = np.linalg.norm(exact, axis=1)
    with np.errstate(invalid="ignore"):
        unit = exact / norm[:, None]
    return {"embedding": unit.astype(np.float32), "norm": norm.astype(np.float32)}


def session_options() -> onnxruntime.SessionOptions:
    """Return the default options with plain float32 arithmetic.

    Without quantised operators a row has the same bits in a batch of any size.
    """
    options = default_options()
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return options
