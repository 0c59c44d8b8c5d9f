"""Runs in the file store of MLflow are read back with its client."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.evaluation.record_reading import load_run
from facebench.report.export.mlflow import export_mlflow

mlflow = pytest.importorskip("mlflow.tracking", reason="needs facebench[mlflow]")
BASELINE = Path(__file__).parents[3] / "results" / "baselines" / "goldens.json"


def test_metrics_parameters_and_the_record_are_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    run = load_run(BASELINE)
    (identifier,) = export_mlflow([run], tmp_path)
    client = mlflow.MlflowClient(tracking_uri=tmp_path.as_uri())
    logged = client.get_run(identifier)
    assert logged.info.run_name == run.name
    assert logged.data.metrics["fd_lite0"] == pytest.approx(run.metrics["fd_lite0"].value)
    assert logged.data.metrics["fd_lite0.low"] == pytest.approx(run.metrics["fd_lite0"].low)
    assert logged.data.params["protocol"] == "quality"
    assert {file.path for file in client.list_artifacts(identifier)} == {"record.json", "results.csv"}
    assert client.get_experiment_by_name("facebench-quality") is not None
