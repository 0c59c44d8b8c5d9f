"""Recognition utility: train recognisers on generated faces and verify them on benchmarks of real faces."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats

from facebench.core.environment import choose_device, describe, facebench_version
from facebench.core.errors import InputError
from facebench.evaluation.record import InputRecord, MetricResult, RejectedFile, Run
from facebench.evaluation.trained_protocols import load_trained_protocols
from facebench.features.extraction import set_digest
from facebench.images.image_set import read
from facebench.training import presets
from facebench.training.data.people import AlignedFaces, FolderPeople
from facebench.training.engine import loop, settings
from facebench.training.recognition.benchmark_verification import (
    MOST_RESOLVED,
    BenchmarkScore,
    pooled_tar,
    verify,
)
from facebench.training.recognition.benchmarks import Pairs, find_benchmark, open_benchmark
from facebench.training.recognition.recogniser import KIND, load_recogniser
from facebench.training.tasks import registry
from facebench.training.tasks.recognition import RecognitionSettings

PROTOCOL = "recognition-utility"
BENCHMARKS = ("lfw", "agedb_30", "calfw", "cfp_fp", "cplfw")
LEVEL = 0.95
DETAILS = "utility.json"
POOLED_TAR = "utility_tar_far_1e4"

_NO_RECIPE = {
    "seed", "data", "validation", "workers", "checkpoint_every", "keep_checkpoints", "sample_every", "compile",
    "gradient_accumulation", "gradient_checkpointing", "steps", "evaluate_every",
}  # fmt: skip
"""Settings that do not affect the numbers, follow from the data, or are recorded elsewhere."""

OnMessage = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """Options of a recognition-utility run.

    Attributes:
        generated: identity sub-folders, or a manifest with the column `identity`.
        benchmarks: folder of NAME.bin files, or of NAME folders with pairs.txt.
        out: folder of the run; the training of seed N is in out/seed-N and resumes after an interruption.
        names: benchmarks to verify on.
        validation: the benchmark that selects the epoch; it is excluded from the average.
        config: preset or file of the training.
        changes: changes to its settings, as key=value.
        seeds: number of trainings.
    """

    generated: Path
    benchmarks: Path
    out: Path
    names: tuple[str, ...] = BENCHMARKS
    validation: str = "lfw"
    config: str = "resnet18-cosface"
    changes: tuple[str, ...] = ()
    seeds: int = 3

    def check(self) -> None:
        """Check the benchmarks before the first training.

        Raises:
            InputError: a benchmark is missing, or no test benchmark remains.
        """
        if self.validation not in self.names:
            raise InputError(
                f"The validation set '{self.validation}' is not one of the benchmarks {', '.join(self.names)}."
            )
        if len(set(self.names)) < 2:
            raise InputError("The validation set cannot be the test set: name at least one more benchmark.")
        for name in self.names:
            find_benchmark(self.benchmarks, name)


def recognition_utility(
    request: Request,
    *,
    device: str = "auto",
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    on_step: loop.StepCallback | None = None,
    on_message: OnMessage = print,
) -> Run:
    """Train, verify, and return the run record; `utility.json` beside it holds every seed, benchmark and fold.

    Args:
        request: options of the run.
        device: "auto", "cpu", "cuda" or "mps".
        name: name of the model in tables; the name of the folder by default.
        tags: properties of the model, such as {"base": "SD-XL", "prompt": "Complex"}.
        on_step: callback invoked after each training step.
        on_message: callback invoked with a line of text at each stage.

    Returns:
        The record: means over trainings with t intervals.

    Raises:
        InputError: data or benchmarks are missing or unusable, or settings do not fit.
        TrainingStopped: a loss is not finite.
    """
    request.check()
    chosen = choose_device(device)
    models, suite, faces = [], "", None
    for seed in range(request.seeds):
        on_message(f"training {seed + 1} of {request.seeds}")
        prepared = _prepared(request, seed)
        assert isinstance(prepared.settings, RecognitionSettings)
        suite, faces = _suite(request, prepared.settings), prepared.task.faces
        out = request.out / f"seed-{seed}"
        models.append(
            loop.fit(
                prepared.task,
                prepared.settings,
                out,
                device=device,
                on_step=on_step,
                on_message=on_message,
            )
        )
    assert isinstance(faces, AlignedFaces)
    scores, inputs = _verified(request, models, chosen, on_message)
    _write_details(request.out / DETAILS, scores)
    return Run(
        facebench=facebench_version(),
        created=datetime.now(timezone.utc),
        name=name or request.generated.resolve().name,
        tags=dict(tags or {}),
        protocol=PROTOCOL,
        suite=suite,
        inputs={"generated": _generated(faces), **inputs},
        backbones={},
        environment=describe(chosen),
        seed=0,
        metrics=_metrics(request, scores, faces),
        warnings=list(faces.people.warnings),
    )


def _prepared(request: Request, seed: int) -> registry.Prepared:
    content = presets.read(request.config, [*request.changes, f"seed={seed}"])
    validation = find_benchmark(request.benchmarks, request.validation)
    content["data"] = {"kind": "folder", "path": request.generated}
    content["validation"] = {"kind": "benchmark", "path": validation}
    return registry.prepare(KIND, content, request.config)


def _suite(request: Request, training: RecognitionSettings) -> str:
    """Return the name of the preset, with a digest of the settings if they differ from it."""
    content = presets.read(request.config)
    content.pop("train", None)
    content |= {"data": training.data.model_dump(), "validation": training.model_dump()["validation"]}
    plain = settings.check(RecognitionSettings, content, request.config)
    given, used = (item.model_dump(mode="json", exclude=_NO_RECIPE) for item in (plain, training))
    stem = Path(request.config).stem
    digest = hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()[:8]
    return stem if given == used and stem in presets.preset_names() else f"{stem}-{digest}"


def _verified(
    request: Request, models: Sequence[Path], device: str, on_message: OnMessage
) -> tuple[dict[str, list[BenchmarkScore]], dict[str, InputRecord]]:
    """Return scores by benchmark, one for each training; each benchmark is read once."""
    scores: dict[str, list[BenchmarkScore]] = {}
    inputs: dict[str, InputRecord] = {}
    trained = [load_recogniser(model) for model in models]
    for name in request.names:
        path = find_benchmark(request.benchmarks, name)
        on_message(f"verifying on {name}")
        pairs = open_benchmark(path)
        scores[name] = [verify(network.to(device), size, pairs) for network, size in trained]
        inputs[f"reference:{name}"] = _benchmark(path, pairs)
    return scores, inputs


def _metrics(
    request: Request, scores: Mapping[str, Sequence[BenchmarkScore]], faces: AlignedFaces
) -> dict[str, MetricResult]:
    accuracy = {name: np.array([found.folded.accuracy for found in scores[name]]) for name in request.names}
    tests = [accuracy[name] for name in request.names if name != request.validation]
    counts = {"generated": len(faces), "trainings": request.seeds}
    metrics = {
        f"utility_{name}": _result(
            f"utility_{name}", accuracy[name], counts | {"pairs": scores[name][0].pairs}
        )
        for name in request.names
    }
    metrics[POOLED_TAR] = _pooled_tar(request, scores, counts)
    average, std = _average_names(request)
    metrics[average] = _result(average, np.mean(tests, axis=0), counts)
    spread = _result(std, np.array([np.std([test.mean() for test in tests])]), counts)
    reason = "needs two test sets" if len(tests) < 2 else ""
    metrics[std] = spread.model_copy(
        update={"low": None, "high": None, "level": None, "method": "none", "note": "", "reason": reason}
        | ({"value": None} if reason else {})
    )
    return metrics


def _pooled_tar(
    request: Request, scores: Mapping[str, Sequence[BenchmarkScore]], counts: dict[str, int]
) -> MetricResult:
    """TAR at FAR 1e-4 over the pairs of all test sets, mean over trainings."""
    tests = [scores[name] for name in request.names if name != request.validation]
    pooled = [pooled_tar([of_seeds[seed] for of_seeds in tests]) for seed in range(request.seeds)]
    values = [value for value in pooled if value is not None]
    impostors = sum(len(of_seeds[0].impostor) for of_seeds in tests)
    counts = counts | {"impostor_pairs": impostors}
    if values:
        return _result(POOLED_TAR, np.array(values), counts)
    reason = f"needs {MOST_RESOLVED:,} impostor pairs, the test sets have {impostors:,}"
    return _result(POOLED_TAR, np.zeros(1), counts).model_copy(
        update={"value": None, "low": None, "high": None, "note": "", "reason": reason}
    )


def _average_names(request: Request) -> tuple[str, str]:
    """Return the ids of the average and its spread; they contain the test sets unless these are the paper's four."""
    if set(request.names) == set(BENCHMARKS) and request.validation == BENCHMARKS[0]:
        return "utility_average", "utility_average_std"
    tests = "_".join(name for name in request.names if name != request.validation)
    return f"utility_average_of_{tests}", f"utility_std_of_{tests}"


def _result(
    metric: str, draws: np.ndarray[Any, np.dtype[np.float64]], counts: dict[str, int]
) -> MetricResult:
    """Return the mean over trainings, with a t interval for several trainings."""
    measure = load_trained_protocols()[PROTOCOL].measures.get(metric)
    value, n = float(draws.mean()), len(draws)
    interval: dict[str, Any] = {"note": "one training run: use --seeds 3 or more for an interval"}
    if n > 1:
        reach = float(scipy.stats.t.ppf(0.5 + LEVEL / 2, n - 1)) * float(draws.std(ddof=1)) / math.sqrt(n)
        low, high = max(0.0, value - reach), min(1.0, value + reach)
        interval = {"low": low, "high": high, "level": LEVEL, "method": f"t over {n} trainings"}
    return MetricResult(
        title=_title(metric) if measure is None else measure.title,
        value=value,
        n=counts,
        better="higher" if measure is None else measure.better,
        decimals=3,
        backbone="trained",
        **interval,
    )


def _title(metric: str) -> str:
    what = metric.removeprefix("utility_").replace("average_of_", "the mean of ")
    return (
        f"Spread over {what.removeprefix('std_of_')}"
        if "_std_of_" in metric
        else f"Verification accuracy on {what}"
    )


def _generated(faces: AlignedFaces) -> InputRecord:
    people = faces.people
    assert isinstance(people, FolderPeople)
    images, found = people.images, faces.has_crop()
    digests = [hashlib.sha256(read(item)).hexdigest() for item in images.items]
    faceless = [
        RejectedFile(name=item.name, reason="no_face", scope="faces")
        for item, seen in zip(images.items, found, strict=True)
        if not seen
    ]
    rejected = [
        RejectedFile(name=r.name, reason=r.reason, detail=r.detail, scope=r.scope) for r in images.rejected
    ]
    return InputRecord(
        path=str(images.root),
        kind=images.kind,
        digest=set_digest(images.items, digests),
        images=len(images),
        faces=sum(found),
        identities=people.identities,
        rejected=rejected + faceless,
    )


def _benchmark(path: Path, pairs: Pairs) -> InputRecord:
    return InputRecord(path=str(path), kind="folder", digest=pairs.digest, images=len(pairs.crops))


def _write_details(path: Path, scores: Mapping[str, Sequence[BenchmarkScore]]) -> None:
    content = {name: [found.plain() for found in of_seeds] for name, of_seeds in scores.items()}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
