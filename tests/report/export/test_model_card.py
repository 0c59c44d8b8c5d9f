"""Model cards are read back and validated with huggingface_hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from facebench.core.errors import InputError
from facebench.evaluation.record_reading import load_run
from facebench.report.export.model_card import END, START, export_model_card

hub = pytest.importorskip("huggingface_hub", reason="needs facebench[hub]")
BASELINE = Path(__file__).parents[3] / "results" / "baselines" / "goldens.json"


def test_the_results_are_read_back(tmp_path: Path) -> None:
    run = load_run(BASELINE)
    card = hub.ModelCard.load(export_model_card([run], tmp_path))
    results = {result.metric_type: result for result in card.data.eval_results}
    assert card.data.model_name == run.name
    distance = results["fd_lite0"]
    assert distance.metric_value == run.metrics["fd_lite0"].value
    assert distance.metric_args["low"] == run.metrics["fd_lite0"].low
    assert "| fd\\_lite0 ↓ |" in card.text
    hub.repocard.metadata_load(tmp_path / "README.md")


def test_a_second_export_replaces_the_first_and_keeps_the_rest(tmp_path: Path) -> None:
    run = load_run(BASELINE)
    file = export_model_card([run], tmp_path)
    card = hub.ModelCard.load(file)
    card.data.license = "apache-2.0"
    foreign = hub.EvalResult(
        task_type="image-to-image",
        dataset_type="mine",
        dataset_name="mine",
        metric_type="mine",
        metric_value=1.0,
    )
    card.data.eval_results = [*card.data.eval_results, foreign]
    card.text = card.text.replace("# goldens", "# My model\n\nWritten by hand.") + "\nThe end."
    card.save(file)
    again = hub.ModelCard.load(export_model_card([run], tmp_path))
    assert again.data.license == "apache-2.0"
    metrics = [result.metric_type for result in again.data.eval_results]
    assert metrics.count("mine") == metrics.count("fd_lite0") == 1
    assert again.text.count(START) == again.text.count(END) == 1
    assert "Written by hand." in again.text
    assert again.text.rstrip().endswith("The end.")


def test_several_models_are_refused(tmp_path: Path) -> None:
    run = load_run(BASELINE)
    with pytest.raises(InputError, match="describes one model, but the runs are of: goldens, other"):
        export_model_card([run, run.model_copy(update={"name": "other"})], tmp_path)


def test_a_damaged_card_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nmodel-index: 3\n---\ntext\n", encoding="utf-8")
    with pytest.raises(InputError, match="is not a model card"):
        export_model_card([load_run(BASELINE)], tmp_path)
