"""Bake the two networks of the npm package @vladmandic/face-api into `facebench/shipped`.

python tools/bake_faceapi.py

Fetches the pinned package through npm, checks its sha256, and writes the weights in the layout of PyTorch. Values
stay quantised exactly as in the package. Prints the fields of the weights registry.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from facebench.backbones.faceapi import QUANTISATION
from facebench.core.shipped_data import MODELS

PACKAGE = "@vladmandic/face-api@1.7.15"
SHA256 = "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031"
NETWORKS = {"face_expression_model": "faceapi-expression", "face_recognition_model": "faceapi-recognition"}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fetch(Path(folder))) as archive:
        for model, name in NETWORKS.items():
            manifest, content = (
                archive.extractfile(f"package/model/{model}{suffix}").read()
                for suffix in ("-weights_manifest.json", ".bin")
            )
            write(name, dict(parameters(json.loads(manifest)[0]["weights"], content)))


def fetch(folder: Path) -> Path:
    """Download the package with npm and check it."""
    subprocess.run(
        ["npm", "pack", PACKAGE, "--pack-destination", str(folder)], check=True, capture_output=True
    )
    (archive,) = folder.glob("*.tgz")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != SHA256:
        raise SystemExit(f"{PACKAGE} has the sha256 {digest}, expected {SHA256}.")
    return archive


def parameters(entries: list[dict], content: bytes) -> Iterator[tuple[str, torch.Tensor]]:
    """Read the parameters of the manifest in order; quantised ones as uint8 with their scale and minimum."""
    offset = 0
    for entry in entries:
        quantisation = entry.get("quantization")
        dtype = np.dtype(np.uint8 if quantisation else np.float32)
        count = int(np.prod(entry["shape"]))
        values = np.frombuffer(content, dtype, count, offset).reshape(entry["shape"])
        offset += count * dtype.itemsize
        name = torch_name(entry["name"])
        yield name, torch.from_numpy(torch_layout(entry["name"], values).copy())
        if quantisation:
            pair = [quantisation["scale"], quantisation["min"]]
            yield name + QUANTISATION, torch.tensor(pair, dtype=torch.float64)
    if offset != len(content):
        raise SystemExit(f"{len(content) - offset} bytes of the weights belong to no parameter.")


def torch_name(name: str) -> str:
    """Return the name in `faceapi_expression` or `faceapi_recognition`."""
    name = name.replace("dense", "blocks/", 1) if name.startswith("dense") else name
    for ending, replacement in {
        "depthwise_filter": "depthwise/weight",
        "pointwise_filter": "pointwise/weight",
        "filters": "weight",
        "fc/weights": "fc/weight",
    }.items():
        name = name.removesuffix(ending) + replacement if name.endswith(ending) else name
    if name.startswith("blocks/") and name.endswith("/bias") and not name.startswith("blocks/0/conv0/"):
        name = name.removesuffix("bias") + "pointwise/bias"
    return ("fc/weight" if name == "fc" else name).replace("/", ".")


def torch_layout(name: str, values: np.ndarray) -> np.ndarray:
    """Transpose filters (H, W, in, out), depthwise filters (H, W, C, 1), and dense weights (in, out)."""
    if name.endswith("depthwise_filter"):
        return values.transpose(2, 3, 0, 1)
    return {4: lambda: values.transpose(3, 2, 0, 1), 2: lambda: values.T}.get(values.ndim, lambda: values)()


def write(name: str, state: dict[str, torch.Tensor]) -> None:
    path = MODELS / f"{name}.safetensors"
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    path.chmod(0o644)
    data = path.read_bytes()
    print(f"{name}:\n  size: {len(data)}\n  sha256: {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
