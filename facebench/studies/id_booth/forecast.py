"""Plan of the ID-Booth study: jobs, missing files, licences, disk and time."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facebench.core.errors import FacebenchError
from facebench.studies.grid.forecast import duration
from facebench.studies.id_booth.bases import BaseModel
from facebench.studies.id_booth.people import notes_on
from facebench.studies.id_booth.plan import image_folders, plan_models, training_of
from facebench.studies.id_booth.request import Request
from facebench.studies.id_booth.settings import PROMPTS
from facebench.studies.id_booth.step_time import BACKWARD, StepTime, matrix_speed, step_time
from facebench.training.presets import read

BYTES_PER_PIXEL = 1.6
"""Bytes of a PNG photograph per pixel."""
ADAPTER_BYTES = {"sd": 3.3e6, "sdxl": 23e6}
"""Adapters of rank 4 in float32."""
RUN_COPIES = 8
"""Sizes of the adapters that a run writes: the model, and two checkpoints with two moments each."""
LICENCES = {
    "sd": "CreativeML Open RAIL++-M, with restrictions of use",
    "sdxl": "CreativeML Open RAIL++-M, with restrictions of use",
}


def forecast(request: Request, out: Path) -> list[str]:
    """Return the plan of the study as lines of text.

    Time comes from one measured step of each base model on the best device of this machine, stored for later calls. It
    is computed from operations of the published networks where a measurement is impossible or long.

    Args:
        request: inputs of the study.
        out: folder of the study.
    """
    jobs = plan_models(request)
    lines = [f"{job.name}: facebench {' '.join(job.words)}" for job in jobs]
    counts = Counter(job.name.split()[0] for job in jobs)
    counts["evaluate"] = len(image_folders(request)) + len(request.references)
    lines.append("jobs: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
    lines += [f"note: {note}" for note in notes_on(request.people)]
    lines += [f"missing: {text}" for text in missing_files(request)] or ["missing: nothing"]
    lines += [f"licence: {text}" for text in _licences(request)]
    existing = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    needed = disk_bytes(request)
    lines.append(
        f"disk: about {needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free"
        + ("" if needed < free else "; free some space")
    )
    return lines + _time_lines(request)


def _time_lines(request: Request) -> list[str]:
    from facebench.training.data.mapped_files import cache_folder

    device, speed = matrix_speed()
    settings, cache_file = request.settings, cache_folder("id-booth") / "step-times.json"
    times = {base.name: step_time(base, settings.size(base.kind), cache_file) for base in request.bases}
    lines = [f"device: {device}, {speed:.2f} tera operations a second in matrix products"]
    lines += [
        f"step of {base.label}: {times[base.name].unet:.2g} s a pass of the U-Net, {times[base.name].training:.2g} s "
        f"with gradients, {times[base.name].decoder:.2g} s to decode an image ({times[base.name].source})"
        for base in request.bases
    ]
    hours = {name: value / 3600 for name, value in seconds(request, times).items()}
    lines += [f"time: {name}: {duration(value)}" for name, value in hours.items()]
    return [
        *lines,
        f"time: all on one such device: {duration(sum(hours.values()))}, without evaluation and recognisers",
    ]


def missing_files(request: Request) -> list[str]:
    """Return what is missing: base models, weights, recogniser, real sets and benchmarks; one sentence each."""
    from facebench.backbones.weights import suite_ready
    from facebench.training.recognition.benchmarks import find_benchmark

    missing = [base.problem for base in request.bases if base.problem]
    if request.recogniser is not None and not request.recogniser.exists():
        missing.append(f"recogniser {request.recogniser}")
    missing += [f"real set {name}: {path}" for name, path in request.references.items() if not path.exists()]
    missing += [f"weights of {name}; see: facebench weights" for name in suite_ready(_networks(request))]
    if request.benchmarks is None:
        return [*missing, "benchmarks for table 3; give --benchmarks DIR"]
    for name in request.settings.utility.benchmarks:
        try:
            find_benchmark(request.benchmarks, name)
        except FacebenchError as error:
            missing.append(str(error))
    return missing


def _networks(request: Request) -> list[str]:
    """Names of the networks of the evaluation."""
    from facebench.evaluation.plan import make_plan

    settings = request.settings.evaluate
    try:
        return list(make_plan(settings.protocol, settings.suite).networks())
    except FacebenchError:
        return []


def _licences(request: Request) -> list[str]:
    from facebench.backbones.weights.licences import licence_notice

    return [f"{base.path}: {LICENCES[base.kind]}" for base in request.bases] + licence_notice(
        _networks(request)
    )


def disk_bytes(request: Request) -> float:
    """Estimate the bytes that the study writes."""
    settings, people = request.settings, len(request.people)
    needed = 0.0
    for base in request.bases:
        images = settings.prior.images + people * settings.draw.images * len(PROMPTS) * (
            len(request.losses) + 1
        )
        needed += images * settings.size(base.kind) ** 2 * BYTES_PER_PIXEL
        needed += people * len(request.losses) * ADAPTER_BYTES[base.kind] * RUN_COPIES
    return needed


def seconds(request: Request, times: Mapping[str, StepTime]) -> dict[str, float]:
    """Seconds of each part of the study, by its name.

    Args:
        request: inputs of the study.
        times: seconds of the networks, by the name of the base model.
    """
    totals = {"prior images": 0.0, "training": 0.0, "images": 0.0}
    settings, people = request.settings, len(request.people)
    for base in request.bases:
        step = times[base.name]
        drawn = people * settings.draw.images * len(PROMPTS) * (len(request.losses) + 1)
        # Guidance needs two passes.
        totals["prior images"] += settings.prior.images * (
            2 * settings.prior.steps * step.unet + step.decoder
        )
        totals["images"] += drawn * (2 * settings.draw.steps * step.unet + step.decoder)
        totals["training"] += people * sum(
            _training_seconds(request, base, loss, step) for loss in request.losses
        )
    return totals


def _training_seconds(request: Request, base: BaseModel, loss: str, step: StepTime) -> float:
    content = _training_settings(request, base, loss)
    # Recomputation is one more forward pass.
    again = step.unet if content.get("gradient_checkpointing") else 0.0
    # An instance and a prior image; encoding costs about half of decoding.
    each = 2 * (step.training + again) + 2 * step.decoder / 2
    each += 0.0 if loss == "dreambooth" else (1 + BACKWARD) * step.decoder
    return float(content["steps"] * content["batch_size"] * each)


def _training_settings(request: Request, base: BaseModel, loss: str) -> dict[str, Any]:
    config, changes = training_of(request, base, loss)
    return read(config, changes)
