"""Model card of the Hugging Face Hub with the results of runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facebench.core.errors import InputError
from facebench.core.extras import requires_extra
from facebench.core.language import use_language
from facebench.evaluation.record import MetricResult, Run
from facebench.evaluation.run_table import headline_metrics, run_table
from facebench.report.export.results import valued_results

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

EXTRA = "hub"
START, END = "<!-- facebench: begin -->", "<!-- facebench: end -->"
"""Marks around the tables in the text of the card; a later export replaces what is between them."""
_TASKS = {
    "quality": ("unconditional-image-generation", "Unconditional image generation"),
    "edit": ("image-to-image", "Image editing"),
}
_OTHER_TASK = ("image-to-image", "Image to image")


def export_model_card(runs: Sequence[Run], folder: Path) -> Path:
    """Write the results of runs of one model into the model card `README.md` of a folder.

    The metadata have one evaluation result for each headline metric, with its interval. The text has the tables of
    the runs. A card that exists keeps its other metadata and its text.

    Args:
        runs: runs of one model, such as one for each protocol.
        folder: folder of the model.

    Returns:
        Path of the card.

    Raises:
        InputError: the runs are of several models, the card cannot be read, or huggingface_hub is not installed.
    """
    names = sorted({run.name for run in runs})
    if len(names) != 1:
        raise InputError(f"A model card describes one model, but the runs are of: {', '.join(names)}.")
    with requires_extra(EXTRA):
        from huggingface_hub import ModelCard, ModelCardData

    file = folder / "README.md"
    if file.is_file():
        try:
            card = ModelCard.load(file, ignore_metadata_errors=False)
        except ValueError as error:
            raise InputError(f"{file} is not a model card: {error}. Correct its metadata.") from None
    else:
        folder.mkdir(parents=True, exist_ok=True)
        data = ModelCardData(library_name="facebench", tags=["face-generation"])
        card = ModelCard(f"---\n{data.to_yaml()}\n---\n\n# {names[0]}\n")
    results = [result for run in runs for result in _eval_results(run)]
    card.data.model_name = card.data.model_name or names[0]
    kept = [old for old in card.data.eval_results or [] if "facebench" not in (old.metric_args or {})]
    card.data.eval_results = [*kept, *results]
    card.text = _with_tables(card.text, runs)
    card.save(file)
    return file


def _eval_results(run: Run) -> list[EvalResult]:
    """Return one evaluation result for each headline metric that has a value."""
    valued = valued_results(run)
    return [_eval_result(run, metric, valued[metric]) for metric in headline_metrics(run, list(valued))]


def _eval_result(run: Run, metric: str, result: MetricResult) -> EvalResult:
    from huggingface_hub import EvalResult

    task, task_name = _TASKS.get(run.protocol, _OTHER_TASK)
    references = [images for role, images in run.inputs.items() if role.startswith("reference")]
    dataset = Path(references[0].path).name if references else Path(run.inputs["generated"].path).name
    return EvalResult(
        task_type=task,
        task_name=task_name,
        dataset_type=run.protocol,
        dataset_name=dataset or run.protocol,
        dataset_config=run.suite,
        metric_type=metric,
        metric_name=result.title,
        metric_value=result.value,
        metric_args={
            "facebench": run.facebench.version,
            "low": result.low,
            "high": result.high,
            "level": result.level,
            "n": dict(result.n),
        },
    )


def _with_tables(text: str, runs: Sequence[Run]) -> str:
    """Return the text of the card with the tables between the marks, or at its end."""
    with use_language("en"):
        tables = "\n".join(run_table(run).markdown() for run in runs)
    block = f"{START}\n## Evaluation\n\n{tables}{END}"
    before, found, rest = text.partition(START)
    if not found:
        return f"{text.rstrip()}\n\n{block}\n"
    return f"{before}{block}{rest.partition(END)[2]}"
