"""Backbone of a network that the user added: preprocessing and outputs as its description states."""

from __future__ import annotations

import hashlib
import importlib.util
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from PIL import Image as PillowImage
from torch import Tensor

from facebench.backbones.base import Backbone, Image, WeightsUsed
from facebench.backbones.onnx_network import image_inputs, open_session
from facebench.backbones.own_networks import NetworkSpec, Output, OwnNetwork
from facebench.backbones.torch_network import exact_float32
from facebench.backbones.weights.digest import sha256_of
from facebench.backbones.weights.reading import first_line, reading, refuse_inflating_archive
from facebench.core.errors import InputError, WeightsError
from facebench.core.suggest import suggest

Floats = npt.NDArray[np.float32]
Run = Callable[[Tensor], dict[str, Floats]]
"""Runs a network on a batch; returns its outputs by position ("0") and by name."""
_WITHOUT_EFFECT: Any = {
    **dict.fromkeys(("title", "licence", "source", "sha256", "file", "code"), True),
    "outputs": {"__all__": {"threshold", "rate"}},
}
"""Keys of a description that do not change the input or the arrays of the network."""


class OwnBackbone(Backbone):
    """A network of the user; `arrays` are the outputs that its description names.

    - `valence`, `arousal`, `quality` (n,).
    - `expression` logits (n, classes); `expressions` names the columns.
    - `embedding` (n, d), divided by its L2 norm; `features`, `exp`, `shape` (n, d); `pose` (n, 3).
    """

    network = None

    def __init__(self, own: OwnNetwork, run: Run, weights: WeightsUsed, device: str) -> None:
        self.name = own.spec.name
        self.spec = own.spec
        self.arrays = own.arrays
        self.weights = weights
        self.device = torch.device(device)
        described = own.spec.model_dump_json(exclude=_WITHOUT_EFFECT)
        digest = hashlib.sha256(described.encode()).hexdigest()[:12]
        self.preprocessing = f"own-{own.spec.crop}-pil-bilinear-{own.spec.size}-{own.spec.colour}-{digest}"
        self._run = run

    @property
    def expressions(self) -> tuple[str, ...]:
        """Names of the columns of `expression`."""
        output = self.spec.outputs.get("expression")
        return () if output is None else output.classes or ()

    def preprocess(self, image: Image) -> Tensor:
        """Resize a uint8 RGB crop to float32 (3, size, size) and normalise it as described."""
        side = (self.spec.size, self.spec.size)
        resized = PillowImage.fromarray(image).resize(side, PillowImage.Resampling.BILINEAR)
        pixels = np.asarray(resized, np.float32) / self.spec.scale
        pixels = pixels[..., ::-1] if self.spec.colour == "bgr" else pixels
        mean, std = (np.asarray(values, np.float32) for values in (self.spec.mean, self.spec.std))
        normalised = (pixels - mean) / std
        return torch.from_numpy(np.ascontiguousarray(normalised.transpose(2, 0, 1), np.float32))

    def embed(self, batch: Tensor) -> dict[str, Floats]:
        """Run the network; every array has one row per input.

        Raises:
            InputError: the network lacks an output, or an output has another width than described.
        """
        found = self._run(batch)
        arrays: dict[str, Floats] = {
            name: _columns(self.spec, name, output, found) for name, output in self.spec.outputs.items()
        }
        for name, array in arrays.items():
            if len(array) != len(batch):
                raise InputError(
                    f"{self.name}: the output of '{name}' has {len(array)} rows for {len(batch)} images."
                )
        if "embedding" in arrays:
            length = np.linalg.norm(arrays["embedding"].astype(np.float64), axis=1, keepdims=True)
            with np.errstate(invalid="ignore", divide="ignore"):
                arrays["embedding"] = (arrays["embedding"] / length).astype(np.float32)
        return arrays


def build_own(own: OwnNetwork, device: str = "cpu") -> OwnBackbone:
    """Build the backbone of an added network. ONNX networks run on the CPU.

    Raises:
        WeightsError: the file is missing, was changed, or is not a network of its format.
        InputError: the description names no network, or its code fails.
    """
    run, sha256 = _runner(own, device)
    if own.spec.sha256 is not None and sha256 != own.spec.sha256:
        raise WeightsError(
            f"The file of network '{own.spec.name}' has changed. Add it again: facebench networks add FILE.yaml"
        )
    weights = WeightsUsed(
        own.spec.name, sha256, own.spec.licence, fingerprint=f"added by the user, {own.origin}"
    )
    kind = type("OwnBackbone", (OwnBackbone,), {"crop": own.spec.crop})
    backbone: OwnBackbone = kind(own, run, weights, device)
    return backbone


def check_own(own: OwnNetwork) -> OwnBackbone:
    """Build an added network and run it on two images.

    Raises:
        InputError: an output is missing, has another width than described, or is not finite.
        WeightsError: the file is not a network of its format.
    """
    backbone = build_own(own)
    images = np.random.default_rng(0).integers(0, 256, (2, own.spec.size, own.spec.size, 3), dtype=np.uint8)
    arrays = backbone.embed(torch.stack([backbone.preprocess(image) for image in images]))
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise InputError(f"{own.spec.name}: the output of '{name}' is NaN or infinite on a random image.")
    return backbone


def _columns(spec: NetworkSpec, name: str, output: Output, found: Mapping[str, Floats]) -> Floats:
    """Return the columns of one output, (n,) for numbers and (n, width) for vectors."""
    key = str(output.output)
    if key not in found:
        named = [one for one in found if not one.isdigit()] or list(found)
        raise InputError(
            f"{spec.name}: the network has no output '{key}' for '{name}'. {suggest(key, named)}"
        )
    values = found[key].reshape(len(found[key]), -1)
    if isinstance(output.columns, int):
        first, end = output.columns, output.columns + 1
    else:
        first, end = output.columns or (0, values.shape[1])
    if not 0 <= first < end <= values.shape[1]:
        raise InputError(
            f"{spec.name}: outputs.{name}.columns are {first} to {end}, but the output has {values.shape[1]} columns."
        )
    selected = values[:, first:end]
    expected = spec.width.get(name, selected.shape[1])
    if selected.shape[1] != expected:
        named_as = f"'classes' names {expected}" if name == "expression" else f"it needs {expected}"
        raise InputError(f"{spec.name}: the output of '{name}' has {selected.shape[1]} columns, {named_as}.")
    return selected[:, 0] if name in ("valence", "arousal", "quality") else selected


def _runner(own: OwnNetwork, device: str) -> tuple[Run, str]:
    """Return a function that runs the network, and the sha256 of its file."""
    if own.factory is not None:
        return _python_runner(own.factory, own.spec.name, device), hashlib.sha256(
            own.origin.encode()
        ).hexdigest()
    if own.code is not None:
        path, name = own.code
        if not path.is_file():
            raise WeightsError(f"The file {path}, the code of network '{own.spec.name}', does not exist.")
        return _python_runner(_load_code(path, name), own.spec.name, device), sha256_of(path)
    if own.file is None:
        raise InputError(
            f"{own.origin}: the network '{own.spec.name}' has neither 'file' nor 'code' (FILE.py:NAME)."
        )
    if not own.file.is_file():
        raise WeightsError(f"The file {own.file}, the network '{own.spec.name}', does not exist.")
    run = _onnx_runner(own.file) if own.file.suffix == ".onnx" else _torchscript_runner(own.file, device)
    return run, sha256_of(own.file)


def _onnx_runner(path: Path) -> Run:
    session = _open_onnx(path)
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)":
        actual = ", ".join(f"{value.name} {value.type} {value.shape}" for value in inputs[:4])
        raise WeightsError(
            f"{path} needs one float32 input, an image batch; it has {len(inputs)} inputs: {actual}. Export it with "
            "the image as the only input, or wrap it in Python code (key 'code')."
        )
    names = [output.name for output in session.get_outputs()]
    step = inputs[0].shape[0] if isinstance(inputs[0].shape[0], int) else 0

    def run(batch: Tensor) -> dict[str, Floats]:
        images = batch.cpu().numpy()
        size = step or len(images)
        if len(images) % size:
            images = np.concatenate([images, np.repeat(images[-1:], size - len(images) % size, axis=0)])
        parts = []
        for start in range(0, len(images), size):
            with reading(path, "an ONNX network that runs on its described input"):
                parts.append(session.run(None, {inputs[0].name: images[start : start + size]}))
        return _named([np.concatenate(each)[: len(batch)] for each in zip(*parts, strict=True)], names)

    return run


def _open_onnx(path: Path) -> onnxruntime.InferenceSession:
    """Open an ONNX file; inputs that no node reads are removed in memory."""
    session = open_session(path)
    if len(session.get_inputs()) == 1:
        return session
    with reading(path, "an ONNX network"):
        model = onnx.load(path)
        inputs = image_inputs(model.graph)
        if len(inputs) == len(session.get_inputs()):
            return session
        del model.graph.input[:]
        model.graph.input.extend(inputs)
        content = model.SerializeToString()
    return open_session(path, content=content)


def _torchscript_runner(path: Path, device: str) -> Run:
    refuse_inflating_archive(path)
    with reading(path, "a TorchScript archive"), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # later versions of PyTorch prefer torch.export
        module = torch.jit.load(str(path), map_location=device).eval()  # type: ignore[no-untyped-call]
    return _python_runner(lambda: module, str(path), device)


def _python_runner(factory: Callable[[], Any], name: str, device: str) -> Run:
    try:
        network = factory()
    except Exception as error:  # code of the user
        raise InputError(f"{name}: the network cannot be created: {first_line(error)}.") from error
    if isinstance(network, torch.nn.Module):
        network = network.eval().to(device)

    def run(batch: Tensor) -> dict[str, Floats]:
        try:
            with exact_float32(), torch.inference_mode():
                result = network(batch.to(device))
        except Exception as error:  # code of the user
            raise InputError(f"{name}: the network fails on its input: {first_line(error)}.") from error
        if isinstance(result, Mapping):
            return _named([_array(value) for value in result.values()], list(map(str, result)))
        if isinstance(result, Tensor | np.ndarray):
            result = [result]
        return _named([_array(value) for value in result], [])

    return run


def _array(value: Any) -> Floats:
    if isinstance(value, Tensor):
        value = value.float().cpu().numpy()
    return np.asarray(value, np.float32)


def _named(arrays: Sequence[npt.NDArray[Any]], names: Sequence[str]) -> dict[str, Floats]:
    """Return outputs by position and by name."""
    found = {str(place): np.asarray(array, np.float32) for place, array in enumerate(arrays)}
    return found | {name: found[str(place)] for place, name in enumerate(names)}


def _load_code(path: Path, name: str) -> Callable[[], Any]:
    """Run a Python file that the user named, and return its class or function."""
    spec = importlib.util.spec_from_file_location(f"facebench_own_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # code of the user
        raise InputError(f"{path} fails: {first_line(error)}.") from error
    if not callable(getattr(module, name, None)):
        raise InputError(f"{path} has no class or function '{name}'.")
    factory: Callable[[], Any] = getattr(module, name)
    return factory
