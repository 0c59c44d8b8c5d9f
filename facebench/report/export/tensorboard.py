"""Event files for TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from facebench.core.extras import requires_extra
from facebench.core.files import safe_file_name
from facebench.evaluation.record import Run
from facebench.evaluation.run_table import run_table
from facebench.report.export.results import properties, scalars
from facebench.report.image_metrics import image_metrics

EXTRA = "tensorboard"


def export_tensorboard(runs: Sequence[Run], folder: Path) -> list[Path]:
    """Write one folder of event files for each run, so that TensorBoard shows the runs side by side.

    A run has its values and the ends of their intervals as scalars, its table as text, its tags and values as
    hyperparameters, and histograms of metrics over the images.

    Args:
        runs: the runs.
        folder: log folder of TensorBoard.

    Returns:
        The folders of the runs.

    Raises:
        InputError: TensorBoard is not installed.
    """
    with requires_extra(EXTRA):
        from torch.utils.tensorboard.summary import hparams
        from torch.utils.tensorboard.writer import SummaryWriter

    written = []
    for run in runs:
        target = folder / safe_file_name(f"{run.name}-{run.protocol}") / f"{run.created:%Y%m%dT%H%M%S}"
        numbers = scalars(run)
        with SummaryWriter(str(target)) as writer:
            for name, value in numbers.items():
                writer.add_scalar(f"{run.protocol}/{name}", value, 0)
            writer.add_text(f"{run.protocol}/results", run_table(run, show_all=True).markdown(), 0)
            for metric, values in image_metrics(run).items():
                writer.add_histogram(f"{run.protocol}/{metric}", values.dropna().to_numpy(), 0)
            named = {f"{run.protocol}/{name}": value for name, value in numbers.items() if "/" not in name}
            for summary in hparams(properties(run), named):  # type: ignore[no-untyped-call]
                writer.file_writer.add_summary(summary)
        written.append(target)
    return written
