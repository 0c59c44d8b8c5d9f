"""Copy a trained model to `facebench/shipped` in half precision, and print its size and sha256 for the registry.

python tools/ship.py runs/face-reader facereader
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

from facebench.core.shipped_data import MODELS
from facebench.training.engine import model_file


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="folder of a finished run, or its model.safetensors")
    parser.add_argument("name", help="name of the shipped model")
    given = parser.parse_args()
    path = MODELS / f"{given.name}.safetensors"
    model_file.write(path, model_file.read(given.run), half=True)
    data = path.read_bytes()
    print(f"  size: {len(data)}\n  sha256: {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
