"""Bake the weights of MTCNN from the wheel facenet-pytorch 2.6.0 into `facebench/shipped`.

python tools/bake_mtcnn.py

Downloads the pinned wheel with pip, checks its sha256, and writes the three state dicts into one safetensors file
without changing a number. Prints the fields of the weights registry.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from safetensors.torch import save_file

from facebench.backbones.weights.load import load_checkpoint
from facebench.core.shipped_data import MODELS

PACKAGE = "facenet-pytorch==2.6.0"
SHA256 = "ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca"


def main() -> None:
    """Download, check, convert."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", name, PACKAGE], check=True
        )
        (wheel,) = folder.glob("*.whl")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if digest != SHA256:
            raise SystemExit(f"{PACKAGE} has the sha256 {digest}, expected {SHA256}.")
        state = {}
        with zipfile.ZipFile(wheel) as archive:
            for network in ("pnet", "rnet", "onet"):
                file = archive.extract(f"facenet_pytorch/data/{network}.pt", folder)
                content = load_checkpoint(Path(file))
                state |= {f"{network}.{key}": value.contiguous() for key, value in content.items()}
    path = MODELS / "mtcnn.safetensors"
    save_file(state, path)
    path.chmod(0o644)
    data = path.read_bytes()
    print(f"mtcnn:\n  size: {len(data)}\n  sha256: {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
