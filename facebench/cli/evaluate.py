"""`facebench evaluate`: evaluate generated faces, print the results and write the run record."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facebench.cli.choices import FormatOption, TableFormat
from facebench.cli.messages import Console, print_line
from facebench.cli.named_values import parse_references, parse_tags
from facebench.cli.options_from_model import ModelOptions, OptionForm
from facebench.cli.progress import Downloads, Stages
from facebench.cli.run_output import check_output
from facebench.core.errors import InputError, WeightsError
from facebench.evaluation.config import EvaluationConfig
from facebench.images.named_roots import parse_roots

if TYPE_CHECKING:
    from facebench.evaluation.record import Run

_OPTIONS = ModelOptions(
    EvaluationConfig,
    arguments=("generated",),
    forms={
        "reference": OptionForm(list[str], metavar="[NAME=]DIR", parse=parse_references),
        "target": OptionForm(Path, metavar="VIDEO"),
        "source": OptionForm(Path, metavar="IMAGE"),
        "metrics": OptionForm(str),
        "name": OptionForm(str),
        "by": OptionForm(metavar="COLUMN"),
        "roots": OptionForm(list[str], flag="--root", metavar="NAME=DIR", parse=parse_roots),
        "tags": OptionForm(list[str], flag="--tag", metavar="NAME=VALUE", parse=parse_tags),
    },
)


@_OPTIONS.declare
def evaluate(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.yaml", help="Read options from a file; options on the command line replace them."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run record; runs/NAME-PROTOCOL/TIME by default.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="Run folder or name of a run; prints the verdict against it first.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the record of another evaluation in --out.")
    ] = False,
    accept_licence: Annotated[
        bool,
        typer.Option("--accept-licence", help="Fetch weights that exclude commercial use without asking."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print only the record to stdout, as JSON.")
    ] = False,
    show_all: Annotated[
        bool, typer.Option("--all", help="Print all metrics, not only the headline of the protocol.")
    ] = False,
    style: FormatOption = TableFormat.auto,
    **options: Any,
) -> None:
    """Evaluate a folder of generated faces and write a run record."""
    from facebench.evaluation.pipeline import evaluate as run_evaluation
    from facebench.evaluation.record_reading import load_run
    from facebench.evaluation.run_folders import RUNS, new_run_folder
    from facebench.evaluation.run_table import run_csv

    settings = _read_settings(config, _OPTIONS.given(context, options))
    check_output(out, settings, overwrite=overwrite)
    old = None if baseline is None else load_run(baseline)
    if settings.suite == "paper" and settings.metrics is None:
        _fetch_weights(settings, accept_licence)
    with Stages() as stages:
        run = run_evaluation(settings, progress=stages.update)
    record = run.save(out or new_run_folder(RUNS, run.name, run.protocol, run.created))
    if as_json or style == TableFormat.json:
        sys.stdout.write(run.to_json())
    elif style == TableFormat.csv:
        sys.stdout.write(run_csv(run))
    else:
        if old is not None:
            _print_verdict(run, old)
        _print_results(run, show_all=show_all, style=style)
        print_line(f"record: {record}", style="dim")


def _print_verdict(run: Run, baseline: Run) -> None:
    from facebench.compare.comparability import reasons_not_comparable
    from facebench.compare.verdict import verdict

    reasons = reasons_not_comparable(baseline, run)
    line = (
        f"not comparable with {baseline.name}: {'; '.join(reasons)}"
        if reasons
        else str(verdict(run, baseline))
    )
    print_line(f"{run.name}: {line}", style="bold")


def _read_settings(file: Path | None, given: dict[str, Any]) -> EvaluationConfig:
    if file is not None:
        return EvaluationConfig.from_yaml(file, **given)
    if "generated" not in given:
        raise InputError(
            "Name a folder of generated faces, or a --config file that holds the option 'generated'."
        )
    return EvaluationConfig.build(**given)


def _fetch_weights(settings: EvaluationConfig, accept_licence: bool) -> None:
    """Fetch the weights of the paper suite that have an address, and name the remaining ones.

    Raises:
        WeightsError: no network of the suite has its weights.
    """
    from facebench.backbones.weights.availability import fetch_available
    from facebench.cli.weights import confirm_licence
    from facebench.evaluation.cards import DETECTOR
    from facebench.evaluation.plan import make_plan, needs_weights, suite_cards
    from facebench.evaluation.protocols import find_protocol

    cards = suite_cards(find_protocol(settings.protocol), settings.suite)
    with Downloads() as downloads:
        problems = fetch_available(
            {name for card in cards if needs_weights(card) for name in card.backbones} - {DETECTOR},
            accept=True if accept_licence else confirm_licence,
            progress=downloads.update,
        )
    try:
        make_plan(settings.protocol, settings.suite)
    except WeightsError as error:
        raise WeightsError("\n".join([*problems, str(error)])) from None
    for problem in problems:
        print_line(f"note: {problem}", style="dim", stderr=True)


def _print_results(run: Run, *, show_all: bool, style: TableFormat) -> None:
    from facebench.cli.terminal_runs import print_groups, print_run
    from facebench.cli.terminal_tables import print_tables
    from facebench.compare.affect_tables import affect_tables, confusion_tables
    from facebench.evaluation.edit_curve import edit_curve_tables
    from facebench.evaluation.edits import edit_tables
    from facebench.evaluation.leakage import closest_table

    console = Console()
    print_run(console, run, show_all=show_all, style=style)
    if run.groups:
        print_groups(console, run, show_all=show_all, style=style)
    closest = closest_table(run)
    tables = [*affect_tables(run), *(confusion_tables(run) if show_all else [])]
    tables += [*([] if closest is None else [closest]), *edit_tables(run), *edit_curve_tables(run)]
    print_tables(console, tables, style)
