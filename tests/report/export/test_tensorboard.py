"""Event files are read back with TensorBoard's own reader."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from facebench.evaluation.record_reading import load_run
from facebench.report.export.results import scalars
from facebench.report.export.tensorboard import export_tensorboard

accumulator = pytest.importorskip(
    "tensorboard.backend.event_processing.event_accumulator", reason="needs facebench[tensorboard]"
)
BASELINE = Path(__file__).parents[3] / "results" / "baselines" / "goldens.json"


def test_values_intervals_and_the_table_are_read_back(tmp_path: Path) -> None:
    run = load_run(BASELINE)
    (folder,) = export_tensorboard([run], tmp_path)
    events = accumulator.EventAccumulator(str(folder))
    events.Reload()
    for name, value in scalars(run).items():
        assert events.Scalars(f"quality/{name}")[0].value == pytest.approx(value, rel=1e-6)
    (text,) = events.Tensors("quality/results/text_summary")
    assert "fd\\_lite0" in text.tensor_proto.string_val[0].decode("utf-8")
    assert {"_hparams_/experiment", "_hparams_/session_start_info"} <= set(events.summary_metadata)


def test_each_run_of_a_board_has_its_folder(tmp_path: Path) -> None:
    run = load_run(BASELINE)
    other = run.model_copy(update={"name": "other/model"})
    folders = export_tensorboard([run, other], tmp_path)
    assert len(set(folders)) == 2
    assert all(folder.is_relative_to(tmp_path) for folder in folders)


def test_values_of_images_are_a_histogram(tmp_path: Path) -> None:
    run = load_run(BASELINE)
    images = [f"{index}.png" for index in range(run.inputs["generated"].images)]
    run.with_per_image(pd.DataFrame({"role": "generated", "image": images, "face_score": 0.9}))
    (folder,) = export_tensorboard([run], tmp_path)
    assert any(folder.iterdir())
