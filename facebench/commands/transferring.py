"""`facebench transfer`: expression, light or pose of one face on another."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from rich.console import Console

from facebench.cli.progress import Stages


def transfer_command(
    checkpoint: Path, source: Path, target: Path, out: Path, *, device: str, **options: Any
) -> None:
    """Transfer, say where the manifest lies and which pairs were skipped."""
    from facebench.training.engine.model_file import device_of
    from facebench.training.rig.transfer import transfer

    with Stages(Console(stderr=True)) as stages:
        manifest = transfer(
            checkpoint, source, target, out, device=str(device_of(device)), progress=stages.update, **options
        )
    console = Console()
    with (out / "skipped.csv").open(encoding="utf-8") as file:
        skipped = list(csv.DictReader(file))
    with manifest.open(encoding="utf-8") as file:
        made = sum(1 for _ in csv.DictReader(file))
    console.print(f"wrote {manifest}: {made} transfers", markup=False, soft_wrap=True)
    if skipped:
        first = skipped[0]
        console.print(
            f"skipped {len(skipped)}, see {out / 'skipped.csv'}; the first: {first['image']}: {first['reason']}",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
    console.print(
        f"next: facebench evaluate {manifest} --protocol expression-transfer",
        style="dim",
        markup=False,
        soft_wrap=True,
    )
