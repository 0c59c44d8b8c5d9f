"""Runs in the file store of MLflow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from facebench.core.extras import requires_extra
from facebench.evaluation.record import Run
from facebench.report.export.results import properties, result_rows, scalars

EXTRA = "mlflow"
TRACKING_URI = "MLFLOW_TRACKING_URI"
FILE_STORE = "MLFLOW_ALLOW_FILE_STORE"


def export_mlflow(runs: Sequence[Run], folder: Path) -> list[str]:
    """Write one run of MLflow for each run, in an experiment named after its protocol.

    A run has its values and the ends of their intervals as metrics, its tags as parameters, and the record and the
    table of results as artifacts.

    Args:
        runs: the runs.
        folder: folder of the file store; the environment variable `MLFLOW_TRACKING_URI` takes another store.

    Returns:
        The ids of the written runs.

    Raises:
        InputError: the package mlflow is not installed.
    """
    uri = os.environ.get(TRACKING_URI)
    if uri is None:
        os.environ.setdefault(FILE_STORE, "true")
        uri = folder.resolve().as_uri()
    with requires_extra(EXTRA):
        from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    written = []
    for run in runs:
        name = f"facebench-{run.protocol}"
        experiment = client.get_experiment_by_name(name)
        identifier = client.create_experiment(name) if experiment is None else experiment.experiment_id
        logged = client.create_run(identifier, run_name=run.name).info.run_id
        for key, text in properties(run).items():
            client.log_param(logged, key, text)
        for key, value in scalars(run).items():
            client.log_metric(logged, _name(key), value)
        client.log_text(logged, run.to_json(), "record.json")
        client.log_text(logged, result_rows(run).to_csv(index=False), "results.csv")
        client.set_terminated(logged)
        written.append(logged)
    return written


def _name(metric: str) -> str:
    """Return a name that the file store of MLflow accepts: `fid_clean@FFHQ/low` becomes `fid_clean.FFHQ.low`."""
    return metric.replace("@", ".").replace("/", ".")
