"""`facebench validate`: check the claims of metric cards on synthetic faces with known damages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facebench.cli.choices import Device, FormatOption, Suite, TableFormat, split_list
from facebench.cli.progress import Stages
from facebench.core.errors import InputError

if TYPE_CHECKING:
    from facebench.studies import validation

Damages = Annotated[str | None, typer.Option(help="Apply only these damages, separated by commas.")]
OldDamages = Annotated[str | None, typer.Option("--kinds", hidden=True, help="Old name of --damages.")]


def validate(
    suite: Annotated[Suite, typer.Option(help="Suite whose metrics are validated.")] = Suite.compact,
    metrics: Annotated[
        str | None, typer.Option(help="Validate only these metrics, separated by commas.")
    ] = None,
    damages: Damages = None,
    kinds: OldDamages = None,
    out: Annotated[Path, typer.Option(help="Folder of validation.json and validation.svg.")] = Path(
        "runs/validation"
    ),
    identities: Annotated[int, typer.Option(min=2, help="Number of identities.")] = 16,
    images: Annotated[int, typer.Option(min=1, help="Images of each identity.")] = 8,
    size: Annotated[int, typer.Option(min=32, max=1024, help="Width and height in pixels.")] = 112,
    seed: Annotated[int, typer.Option(help="Seed of faces, damages and resampling.")] = 0,
    device: Annotated[Device, typer.Option(help="Device of the networks.")] = Device.auto,
    against: Annotated[
        Path | None, typer.Option(help="CSV of people's ratings, compared with the run of --run.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Run folder over the rated images; with --against.")
    ] = None,
    style: FormatOption = TableFormat.auto,
) -> None:
    """Damage synthetic faces by known amounts and check the claims of metric cards.

    Exits with code 1 when a metric breaks a claim of its card. With --against, the per-image numbers of a run are
    compared with ratings of people instead.
    """
    from facebench.cli.terminal_tables import print_written, show_tables
    from facebench.studies import validation
    from facebench.studies.validation import report

    if against is not None or run is not None:
        _compare_with_people(against, run, seed, style)
        return
    with Stages() as stages:
        result = validation.validate(
            suite=suite.value,
            metrics=split_list(metrics),
            damages=split_list(damages or kinds),
            identities=identities,
            images=images,
            size=size,
            seed=seed,
            device=device.value,
            progress=stages.update,
        )
    written = _write(result, out)
    show_tables(report.claims_table(result), style, sentences=report.summary(result))
    print_written(written, style)
    if not result.passed:
        raise typer.Exit(1)


def _compare_with_people(against: Path | None, run: Path | None, seed: int, style: TableFormat) -> None:
    """Print the rank correlation of every metric with ratings, or the share of pairs in the preferred order."""
    from facebench.cli.terminal_tables import show_tables
    from facebench.evaluation.record_reading import load_run
    from facebench.studies.ratings import agreement_table, agreements, read_ratings

    if against is None or run is None:
        raise InputError("--against RATINGS.csv and --run RUN belong together. Give both.")
    ratings = read_ratings(against)
    show_tables(agreement_table(agreements(load_run(run), ratings, seed), ratings.kind), style)


def _write(result: validation.Validation, folder: Path) -> tuple[Path, Path]:
    from facebench.studies.validation import report

    record, figure = folder / "validation.json", folder / "validation.svg"
    folder.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(result.record(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    figure.write_text(report.draw(result), encoding="utf-8")
    return record, figure
