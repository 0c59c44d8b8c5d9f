"""`facebench verify-benchmark`: verification accuracy of a trained recogniser on benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facebench.cli.choices import Device, FormatOption, TableFormat, split_list
from facebench.cli.messages import print_line, print_message
from facebench.core.errors import InputError
from facebench.core.tables import Cell, Column, Table

if TYPE_CHECKING:
    from facebench.training.recognition.benchmark_verification import BenchmarkScore, Share

DEFAULT_BENCHMARKS = "lfw,agedb_30,calfw,cfp_fp,cplfw"
Benchmarks = Annotated[str, typer.Option(help="Names of benchmarks, separated by commas.")]


def verify_benchmark(
    checkpoint: Annotated[
        Path, typer.Argument(help="Run of `facebench train recognition`, or its model.safetensors.")
    ],
    data: Annotated[
        Path, typer.Option(help="Folder of NAME.bin files, or of NAME folders that hold pairs.txt.")
    ],
    benchmarks: Benchmarks = DEFAULT_BENCHMARKS,
    device: Annotated[Device, typer.Option(help="Device of the network.")] = Device.auto,
    out: Annotated[
        Path | None, typer.Option(help="Write JSON with every fold and the rates with intervals.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print only this JSON to stdout.")] = False,
    style: FormatOption = TableFormat.auto,
) -> None:
    """Measure the ten-fold verification accuracy of a trained recogniser.

    Embeddings of an image and its mirror image are added. Acceptance rates are reported beside the accuracy.
    """
    from facebench.cli.terminal_tables import show_tables
    from facebench.core.environment import choose_device
    from facebench.training.recognition.benchmark_verification import verify
    from facebench.training.recognition.benchmarks import find_benchmark, open_benchmark
    from facebench.training.recognition.recogniser import load_recogniser

    paths = {name: find_benchmark(data, name) for name in dict.fromkeys(split_list(benchmarks) or ())}
    network, size = load_recogniser(checkpoint)
    network.to(choose_device(device.value))
    scores = []
    for name, path in paths.items():
        print_line(f"verifying on {name}", style="dim", stderr=True)
        pairs = open_benchmark(path)
        for reason in pairs.left_out:
            print_message(f"left out: {reason}")
        scores.append(verify(network, size, pairs))
    content = {"checkpoint": str(checkpoint), "benchmarks": {score.name: score.plain() for score in scores}}
    text = json.dumps(content, indent=1)
    if out is not None:
        _write(out, text)
    if as_json:
        print(text)
    else:
        show_tables(_scores_table(scores), style)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror}).") from None


def _scores_table(scores: list[BenchmarkScore]) -> Table:
    """Return a table with one row for each benchmark."""
    columns = [
        Column("benchmark", "benchmark", numeric=False),
        Column("pairs", "pairs"),
        Column("accuracy", "accuracy ± std over folds ↑"),
        Column("eer", "EER ↓"),
        Column("tar_at_far_0.01", "TAR at FAR 1 % ↑"),
        Column("tar_at_far_0.001", "TAR at FAR 0.1 % ↑"),
        Column("tar_at_far_0.0001", "TAR at FAR 0.01 % ↑"),
    ]
    rows = [
        [
            Cell(score.name),
            Cell(f"{score.pairs:,}", float(score.pairs)),
            _share_cell(score.accuracy, f" ± {score.folded.std:.4f}"),
            _share_cell(score.eer),
            *(_share_cell(share) for share in score.tar.values()),
        ]
        for score in scores
    ]
    notes = [
        "Brackets: 95 % interval, jackknife over the ten folds. –: too few impostor pairs for this rate.",
        "Embeddings of an image and its mirror image are added, then normalised.",
    ]
    return Table(columns, rows, notes=notes)


def _share_cell(share: Share, suffix: str = "") -> Cell:
    if share.value is None:
        return Cell("–")
    interval = share.interval
    small = "" if interval is None else f"[{interval.low:.4f}, {interval.high:.4f}]"
    return Cell(f"{share.value:.4f}{suffix}", share.value, small)
