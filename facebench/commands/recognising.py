"""`facebench verify-benchmark` and `facebench utility`: recognisers on pairs of faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from facebench.cli.show import print_run, print_table
from facebench.commands.training import Meter
from facebench.core.errors import InputError
from facebench.core.tables import Cell, Column, Table

if TYPE_CHECKING:
    from facebench.training.recognition.benchmark_verification import BenchmarkScore, Share


def verify_command(
    checkpoint: Path, names: list[str], data: Path, *, device: str, out: Path | None, as_json: bool
) -> None:
    """Measure a trained recogniser on benchmarks; print a table, write JSON."""
    try:
        from facebench.core.environment import choose_device
        from facebench.training.recognition.benchmark_verification import verify
        from facebench.training.recognition.benchmarks import find_benchmark, open_benchmark
        from facebench.training.recognition.recogniser import load_recogniser
    except ImportError as error:
        raise _missing(error) from None

    messages = Console(stderr=True)
    paths = {name: find_benchmark(data, name) for name in dict.fromkeys(names)}
    network, size = load_recogniser(checkpoint)
    network.to(choose_device(device))
    scores = []
    for name, path in paths.items():
        messages.print(f"verifying on {name}", style="dim", markup=False)
        pairs = open_benchmark(path)
        for line in pairs.left_out:
            messages.print(f"left out: {line}", markup=False, soft_wrap=True)
        scores.append(verify(network, size, pairs))
    content = {"checkpoint": str(checkpoint), "benchmarks": {score.name: score.plain() for score in scores}}
    text = json.dumps(content, indent=1)
    if out is not None:
        try:
            out.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{out}: cannot be written ({error.strerror}).") from None
    if as_json:
        print(text)
    else:
        print_table(Console(), scores_table(scores))


def utility_command(
    generated: Path,
    changes: list[str],
    *,
    data: Path,
    benchmarks: list[str],
    validation: str,
    config: str,
    seeds: int,
    out: Path | None,
    name: str | None,
    tags: dict[str, str],
    device: str,
) -> None:
    """Train on the faces, verify, write the record and print the row."""
    try:
        from facebench.studies.recognition_utility import PROTOCOL, Request, recognition_utility
    except ImportError as error:
        raise _missing(error) from None

    messages = Console(stderr=True)
    place = out or Path("runs") / f"{generated.resolve().name}-{PROTOCOL}"
    request = Request(generated, data, place, tuple(benchmarks), validation, config, tuple(changes), seeds)
    with Meter(messages, 1) as meter:
        run = recognition_utility(
            request,
            device=device,
            name=name,
            tags=tags,
            watch=meter.update,
            say=lambda text: messages.print(text, markup=False, soft_wrap=True),
        )
    run.save(place)
    print_run(Console(), run)
    Console().print(f"wrote {place}", markup=False, soft_wrap=True)


def scores_table(scores: list[BenchmarkScore]) -> Table:
    """One row per benchmark."""
    columns = [
        Column("benchmark", "benchmark", numeric=False),
        Column("pairs", "pairs"),
        Column("accuracy", "accuracy ± std over folds ↑"),
        Column("eer", "EER ↓"),
        Column("tar_at_far_0.01", "TAR at FAR 1 % ↑"),
        Column("tar_at_far_0.001", "TAR at FAR 0.1 % ↑"),
    ]
    rows = [
        [
            Cell(score.name),
            Cell(f"{score.pairs:,}", float(score.pairs)),
            _share(score.accuracy, f" ± {score.folded.std:.4f}"),
            _share(score.eer),
            *(_share(share) for share in score.tar.values()),
        ]
        for score in scores
    ]
    notes = [
        "Brackets: 95 % interval, jackknife over the ten folds. –: too few impostor pairs for that rate.",
        "Embeddings of an image and its mirror image are added, then normalised.",
    ]
    return Table(columns, rows, notes=notes)


def _share(share: Share, behind: str = "") -> Cell:
    if share.value is None:
        return Cell("–")
    found = share.interval
    small = "" if found is None else f"[{found.low:.4f}, {found.high:.4f}]"
    return Cell(f"{share.value:.4f}{behind}", share.value, small)


def _missing(error: ImportError) -> InputError:
    return InputError(f"This needs the package '{error.name}'. Install it: pip install 'facebench[train]'")
