"""Environment of a run record: versions, machine, device."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from facebench.core.errors import InputError
from facebench.core.version import __version__

# Libraries whose version can change a result.
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
    """Version of facebench, with the git commit when it runs from a checkout."""

    model_config = ConfigDict(extra="forbid")

    version: str
    commit: str | None = None


def versions() -> dict[str, str]:
    """Return the installed version of every library that can change a result."""
    installed = {}
    for library in LIBRARIES:
        try:
            installed[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            installed[library] = "not installed"
    return installed


def describe(device: str) -> dict[str, str]:
    """Describe the environment for a run record; `device` is the torch device of the networks."""
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
    """Return the version of facebench, with the git commit when it runs from a checkout."""
    return Version(version=__version__, commit=_commit())


def choose_device(name: str) -> str:
    """Return the named device; "auto" is the first available of cuda, mps and cpu.

    Raises:
        InputError: the named device is not available.
    """
    if name in ("auto", "cpu") and not _may_have_gpu():
        return "cpu"
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, present in available.items() if present)
    if not available.get(name.partition(":")[0], False):
        names = ", ".join(device for device, present in available.items() if present)
        raise InputError(f"The device '{name}' is not available, only {names}. Leave out --device.")
    return name


def _may_have_gpu() -> bool:
    """Whether torch, whose import takes a second, has to look for a GPU: Linux has a device file for each driver."""
    drivers = ("/dev/nvidiactl", "/dev/nvmap", "/dev/kfd", "/dev/dxg")
    return sys.platform != "linux" or any(map(os.path.exists, drivers))


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
        completed = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return completed.stdout.strip() or None
