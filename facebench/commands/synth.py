"""`facebench synth` and `facebench degrade`: synthetic faces with known truth, and worse copies of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from facebench.commands.progress import Stages


def synth_command(out: Path, *, expressions: list[str] | None, buffers: bool, **options: Any) -> None:
    """Write the set and say where."""
    from facebench import synthface

    messages = Console(stderr=True)
    with Stages(messages) as stages:
        synthface.write(
            out,
            expressions=expressions,
            buffers=buffers,
            progress=lambda done, total: stages.update("rendering", done, total),
            **options,
        )
    Console().print(f"wrote {out}: images, manifest.csv, parameters.npz", markup=False, soft_wrap=True)


def degrade_command(source: Path, out: Path, *, kind: str, strength: float, seed: int) -> None:
    """Write the worse copy and say where."""
    from facebench.synthface.degradations import degrade

    messages = Console(stderr=True)
    with Stages(messages) as stages:
        degrade(
            out, source, kind, strength, seed, progress=lambda done, total: stages.update(kind, done, total)
        )
    Console().print(f"wrote {out}: {source} with {kind} {strength:g}", markup=False, soft_wrap=True)
