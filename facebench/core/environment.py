"""What the numbers were computed with: versions, machine, device."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from facebench.core.errors import InputError
from facebench.core.version import __version__

# Libraries whose version can move a number.
LIBRARIES = (
    "torch",
    "torchvision",
    "onnxruntime",
    "opencv-python-headless",
    "pillow",
    "numpy",
    "scipy",
    "timm",
    "open_clip_torch",
    "torch-fidelity",
)


class Version(BaseModel):
    """Version of facebench that wrote a record, with the git commit of a checkout."""

    model_config = ConfigDict(extra="forbid")

    version: str
    commit: str | None = None


def versions() -> dict[str, str]:
    """Installed version of every library that a number can depend on."""
    found = {}
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            found[library] = "not installed"
    return found


def describe(device: str) -> dict[str, str]:
    """The environment of a run record; `device` is the torch device that the networks ran on."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "device": _device_name(device),
        "tf32": "off",
        **versions(),
    }


def facebench_version() -> Version:
    """Version of facebench, with the git commit when it runs from a checkout."""
    return Version(version=__version__, commit=_commit())


def choose_device(wanted: str) -> str:
    """Turn "auto" into the best device there is: cuda, then mps, then cpu.

    Raises:
        InputError: a device was asked for by name and is not there.
    """
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(device for device, found in there.items() if found)
    if not there.get(wanted.partition(":")[0], False):
        found = ", ".join(device for device, at_hand in there.items() if at_hand)
        raise InputError(f"There is no device '{wanted}' here, only {found}. Leave out --device.")
    return wanted


def _device_name(device: str) -> str:
    if device.startswith("cuda"):
        import torch

        return f"{device} ({torch.cuda.get_device_name(device)})"
    return device


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )


def _commit() -> str | None:
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        asked = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() or None
