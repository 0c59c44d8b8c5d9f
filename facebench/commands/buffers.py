"""`facebench buffers`: write the physical buffers of a set of images."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.console import Console

from facebench.cli.progress import Stages

SHOWN = 5


def buffers_command(
    images: Path, out: Path, *, source: str, size: int, album: bool, device: str, workers: int | None
) -> None:
    """Write the set, say how large it is and what was skipped."""
    from facebench.training.engine.model_file import device_of
    from facebench.training.rig.buffers import write_buffers

    place = str(device_of(device))
    with Stages(Console(stderr=True)) as stages:
        made = write_buffers(
            images, out, source=source, size=size, album=album, device=place, workers=workers,
            progress=stages.update,
        )  # fmt: skip
    console = Console()
    console.print(
        f"wrote {out}: {len(made)} faces of {made.about.size} pixels from {source}, "
        f"{made.bytes / len(made):,.0f} bytes per image",
        markup=False,
        soft_wrap=True,
    )
    if made.skipped:
        reasons = ", ".join(
            f"{count} {reason}" for reason, count in Counter(r for _, r, _ in made.skipped).items()
        )
        console.print(f"skipped {len(made.skipped)}: {reasons}", style="yellow", markup=False, soft_wrap=True)
        for name, reason, detail in made.skipped[:SHOWN]:
            console.print(f"  {name}: {reason} ({detail})", style="dim", markup=False, soft_wrap=True)
        if len(made.skipped) > SHOWN:
            path = out / "skipped.csv"
            console.print(f"  ... all of them: {path}", style="dim", markup=False, soft_wrap=True)
