"""`facebench export`: runs for TensorBoard, Weights & Biases, MLflow and the Hugging Face Hub."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facebench.cli.messages import print_line

if TYPE_CHECKING:
    from facebench.evaluation.record import Run


class Target(str, Enum):
    """Tools that store results."""

    tensorboard = "tensorboard"
    wandb = "wandb"
    mlflow = "mlflow"
    hf_card = "hf-card"


def export(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, names of runs, or folders of runs.")],
    to: Annotated[Target, typer.Option(help="Tool that stores the results.")],
    out: Annotated[
        Path,
        typer.Option(
            help="Folder of the event files, of the offline runs, of the file store, or of the model with its card."
        ),
    ],
) -> None:
    """Write runs for TensorBoard, Weights & Biases, MLflow or a Hugging Face model card.

    Each run of a board becomes a run of the tool. A model card takes runs of one model.
    """
    from facebench.evaluation.record_reading import load_run
    from facebench.evaluation.run_folders import run_folders

    found = [load_run(folder) for path in runs for folder in (run_folders([path]) or [path])]
    for line in _write(found, to, out):
        print_line(line)


def _write(runs: list[Run], to: Target, out: Path) -> list[str]:
    """Write the runs; return what was written and the command that shows it."""
    if to == Target.tensorboard:
        from facebench.report.export.tensorboard import export_tensorboard

        written = [str(folder) for folder in export_tensorboard(runs, out)]
        return [*(f"wrote {folder}" for folder in written), f"show them: tensorboard --logdir {out}"]
    if to == Target.wandb:
        from facebench.report.export.wandb import export_wandb

        written = [str(folder) for folder in export_wandb(runs, out)]
        return [*(f"wrote {folder}" for folder in written), f"send them: wandb sync {' '.join(written)}"]
    if to == Target.mlflow:
        from facebench.report.export.mlflow import export_mlflow

        count = len(export_mlflow(runs, out))
        return [f"wrote {count} runs of MLflow to {out}", f"show them: mlflow ui --backend-store-uri {out}"]
    from facebench.report.export.model_card import export_model_card

    return [f"wrote {export_model_card(runs, out)}"]
