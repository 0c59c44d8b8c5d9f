"""`facebench doctor`: state of this installation."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from facebench.core.version import __version__


def doctor() -> None:
    """Show versions, devices, missing weights and free disk space."""
    from facebench.backbones import weights
    from facebench.core.environment import versions
    from facebench.evaluation.protocols import load_protocols
    from facebench.features.store.sqlite import default_folder

    console = Console()
    table = Table.grid(padding=(0, 2))
    table.add_row(Text("facebench", style="bold"), __version__)
    table.add_row("Python", f"{platform.python_version()} on {platform.platform()}")
    for library, version in versions().items():
        table.add_row(library, version)
    table.add_row("devices", ", ".join(_devices()))
    table.add_row("feature store", _folder_and_free_space(default_folder()))
    table.add_row("weights", _folder_and_free_space(weights.cache_dir()))
    console.print(table)
    console.print()
    for name, protocol in load_protocols().items():
        for suite, metrics in protocol.suites.items():
            console.print(f"{name} · {suite}: ", _readiness(metrics), sep="", soft_wrap=True)


def _devices() -> list[str]:
    import torch

    devices = [f"cpu ({torch.get_num_threads()} threads)"]
    for index in range(torch.cuda.device_count()):
        devices.append(f"cuda:{index} ({torch.cuda.get_device_name(index)})")
    return devices + (["mps"] if torch.backends.mps.is_available() else [])


def _folder_and_free_space(folder: Path) -> str:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return f"{folder} ({shutil.disk_usage(existing).free / 1e9:.0f} GB free)"


def _readiness(metrics: Sequence[str]) -> Text:
    from facebench.backbones import weights
    from facebench.evaluation.cards import find_card
    from facebench.evaluation.plan import DETECTOR

    backbones = sorted({name for metric in metrics for name in find_card(metric).backbones} - {DETECTOR})
    missing = weights.suite_ready(backbones)
    if not missing:
        return Text("ready", style="green")
    return Text(f"weights missing: {', '.join(missing)}", style="yellow")
