"""`facebench evaluate`: run a protocol with a progress bar, print the table, write the record."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from facebench.backbones import weights
from facebench.cli.progress import Stages
from facebench.cli.show import print_groups, print_run, print_table
from facebench.commands.weights import Downloads, confirm
from facebench.evaluation.leakage import closest_table
from facebench.evaluation.pipeline import evaluate
from facebench.evaluation.plan import make_plan
from facebench.evaluation.record import Run


def evaluate_command(
    generated: Path,
    reference: Any,
    *,
    protocol: str,
    suite: str,
    metrics: list[str] | None,
    device: str,
    engine: str,
    address: str | None,
    out: Path | None,
    name: str | None,
    seed: int,
    max_rejected: float,
    by: str | None,
    tags: dict[str, str],
    accept_licence: bool,
    as_json: bool,
) -> None:
    """Evaluate, write the record, then print the table, or the record alone with `as_json`."""
    messages = Console(stderr=True)
    if suite == "paper" and metrics is None:
        with Downloads(messages) as downloads:
            weights.ensure(
                make_plan(protocol, suite).networks(),
                accept=True if accept_licence else confirm,
                progress=downloads.update,
            )
    with Stages(messages) as stages:
        run = evaluate(
            generated,
            reference,
            protocol=protocol,
            suite=suite,
            metrics=metrics,
            device=device,
            engine=engine,
            address=address,
            name=name,
            seed=seed,
            max_rejected=max_rejected,
            by=by,
            tags=tags,
            progress=stages.update,
        )
    record = run.save(out or _default_folder(run))
    if as_json:
        sys.stdout.write(run.to_json())
        return
    console = Console()
    print_run(console, run)
    if run.groups:
        print_groups(console, run)
    pairs = closest_table(run)
    if pairs is not None:
        print_table(console, pairs)
    console.print(f"record: {record}", style="dim", markup=False, soft_wrap=True)


def _default_folder(run: Run) -> Path:
    return Path("runs") / f"{run.name}-{run.protocol}"
