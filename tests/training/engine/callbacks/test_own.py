"""The project's own training evaluates with the same callback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from facebench.core.errors import InputError
from facebench.evaluation.record_reading import load_run
from tests.helpers.tiny_training import MODEL, SYNTHFACE, log_values, train

EVALUATION = {"every": 2, "images": 8, "metrics": ["fd_lite0"], "suite": "compact"}


@pytest.mark.parametrize("kind", ["ddim", "diffae"])
def test_a_training_run_logs_evaluations_and_keeps_the_best_checkpoint(tmp_path: Path, kind: str) -> None:
    model = {key: value for key, value in MODEL.items() if kind == "diffae" or not _is_of_encoder(key)}
    out = tmp_path / "run"
    train(kind, out, model=model, data=SYNTHFACE, evaluation=EVALUATION, steps=4, keep_checkpoints=1)
    assert len(log_values(out, "facebench/fd_lite0")) == 2
    run = load_run(out / "evaluations" / "step-00000004")
    assert run.inputs["generated"].images == 8
    best = json.loads((out / "evaluations" / "best.json").read_text())
    number = int(best["run"].removeprefix("step-"))
    assert (out / "checkpoints" / f"step-{number:08d}").is_dir()


def test_a_training_without_images_has_no_evaluation(tmp_path: Path) -> None:
    from facebench.training.engine.task import Task

    with pytest.raises(InputError, match="makes no images"):
        Task.generate(None, None, 3)  # type: ignore[arg-type]


def _is_of_encoder(key: str) -> bool:
    return key in ("encoder_multipliers", "code_channels")
