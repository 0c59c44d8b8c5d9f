"""Commands that measure: images in, a run record out, and what the numbers mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facebench.cli.choices import Device, Engine, Suite

PANEL = "Measure"
app = typer.Typer()


@app.command(rich_help_panel=PANEL)
def evaluate(
    generated: Annotated[
        Path, typer.Argument(help="Folder, folder of identity folders, or manifest of generated faces.")
    ],
    reference: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]DIR", help="Real faces to compare with; several sets are given by name."
        ),
    ] = None,
    protocol: Annotated[str, typer.Option(help="What to measure; see `facebench protocols`.")] = "quality",
    suite: Annotated[
        Suite, typer.Option(help="auto takes paper when all its weights are at hand.")
    ] = Suite.auto,
    metrics: Annotated[str | None, typer.Option(help="Only these metrics, separated by commas.")] = None,
    device: Annotated[Device, typer.Option(help="Where the networks run.")] = Device.auto,
    engine: Annotated[
        Engine, typer.Option(help="local: this process. ray: workers on a Ray cluster, with the same result.")
    ] = Engine.local,
    address: Annotated[
        str | None,
        typer.Option(help="Running Ray cluster; auto finds this machine's (by default one is begun here)."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run record (by default runs/NAME-PROTOCOL).")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the model in tables (by default that of the folder).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every resampling.")] = 0,
    max_rejected: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Stop above this share of unusable files.")
    ] = 0.02,
    by: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Every metric also by identity, expression, ...")
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="What the model is, for tables and factorial studies."),
    ] = None,
    accept_licence: Annotated[
        bool,
        typer.Option("--accept-licence", help="Fetch weights that exclude commercial use without asking."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the record, and nothing else, on stdout.")
    ] = False,
) -> None:
    """Measure a folder of generated faces and write a run record."""
    from facebench.commands.evaluating import evaluate_command
    from facebench.evaluation.inputs import parse_references, parse_tags

    evaluate_command(
        generated,
        parse_references(reference),
        protocol=protocol,
        suite=suite.value,
        metrics=metrics.split(",") if metrics else None,
        device=device.value,
        engine=engine.value,
        address=address,
        out=out,
        name=name,
        seed=seed,
        max_rejected=max_rejected,
        by=by,
        tags=parse_tags(tag),
        accept_licence=accept_licence,
        as_json=as_json,
    )


@app.command(rich_help_panel=PANEL)
def metrics(
    metric: Annotated[str | None, typer.Argument(help="Id of one metric.")] = None,
) -> None:
    """List the metrics, or print one metric's card."""
    from facebench.commands import cards

    cards.print_card(metric) if metric else cards.print_cards()


@app.command(rich_help_panel=PANEL)
def protocols(
    name: Annotated[str | None, typer.Argument(help="Name of one protocol.")] = None,
) -> None:
    """List the protocols, or print one."""
    from facebench.commands import cards

    cards.print_protocol(name) if name else cards.print_protocols()


@app.command(rich_help_panel=PANEL)
def validate(
    suite: Annotated[Suite, typer.Option(help="Whose metrics to validate.")] = Suite.compact,
    metrics: Annotated[str | None, typer.Option(help="Only these metrics, separated by commas.")] = None,
    kinds: Annotated[str | None, typer.Option(help="Only these damages, separated by commas.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of validation.json and validation.svg.")] = Path(
        "runs/validation"
    ),
    identities: Annotated[int, typer.Option(min=2, help="Number of people.")] = 16,
    images: Annotated[int, typer.Option(min=1, help="Images of each.")] = 8,
    size: Annotated[int, typer.Option(min=32, max=1024, help="Side in pixels.")] = 112,
    seed: Annotated[int, typer.Option(help="Of faces, damages and resampling.")] = 0,
    device: Annotated[Device, typer.Option(help="Where the networks run.")] = Device.auto,
) -> None:
    """Damage synthetic faces by known amounts; fail with exit code 1 when a metric breaks its card's claim."""
    from facebench.commands.validating import validate_command

    validate_command(
        out,
        suite=suite.value,
        metrics=metrics.split(",") if metrics else None,
        kinds=kinds.split(",") if kinds else None,
        identities=identities,
        images=images,
        size=size,
        seed=seed,
        device=device.value,
    )


@app.command(rich_help_panel=PANEL)
def doctor() -> None:
    """Versions, devices, weights at hand and free disk."""
    from facebench.commands.doctor import print_report

    print_report()
