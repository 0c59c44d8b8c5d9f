"""`facebench synth` and `facebench degrade`: synthetic faces with known truth, and worse copies of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from facebench.cli.progress import Stages
from facebench.core.errors import InputError


def synth_command(out: Path, *, expressions: list[str] | None, buffers: bool, **options: Any) -> None:
    """Write the set and say where."""
    from facebench import synthface

    messages = Console(stderr=True)
    with Stages(messages) as stages:
        synthface.write(
            out,
            expressions=expressions,
            options=synthface.RenderOptions(buffers=buffers, progress=stages.update),
            **options,
        )
    Console().print(f"wrote {out}: images, manifest.csv, parameters.npz", markup=False, soft_wrap=True)


def degrade_command(source: Path, out: Path, *, kind: str, strength: float, seed: int) -> None:
    """Write the worse copy and say where."""
    from facebench.synthface import RenderOptions, degrade

    messages = Console(stderr=True)
    with Stages(messages) as stages:
        degrade(out, source, kind, strength, seed, RenderOptions(progress=stages.update))
    Console().print(f"wrote {out}: {source} with {kind} {strength:g}", markup=False, soft_wrap=True)


def benchmark_command(path: Path, *, people: int, start: int, size: int, seed: int) -> None:
    """Write pairs of people `start` and on as a verification benchmark."""
    try:
        from facebench.training.data.sources import SynthfaceData
        from facebench.training.recognition.benchmarks import IMAGES, synthetic_pairs, write_pairs
    except ImportError as error:
        raise InputError(
            f"This needs the package '{error.name}'. Install it: pip install 'facebench[train]'"
        ) from None

    data = SynthfaceData(
        kind="synthface",
        identities=people,
        images=IMAGES,
        seed=seed,
        start=start,
        render=size,
        remember=False,
    )
    with Stages(Console(stderr=True)) as stages:
        pairs = synthetic_pairs(data, lambda done, total: stages.update(path.name, done, total))
    write_pairs(path, pairs)
    Console().print(
        f"wrote {path}: {len(pairs.same)} pairs of people {start} to {start + people - 1}",
        markup=False,
        soft_wrap=True,
    )
