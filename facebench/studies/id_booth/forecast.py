"""Plan of the ID-Booth study: jobs, missing files, licences, disk and time."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

from facebench.core.errors import FacebenchError
from facebench.studies.grid.forecast import duration
from facebench.studies.id_booth.bases import BaseModel
from facebench.studies.id_booth.people import notes_on
from facebench.studies.id_booth.plan import image_folders, plan_models, training_of
from facebench.studies.id_booth.request import Request
from facebench.studies.id_booth.settings import PROMPTS
from facebench.training.presets import read

UNET_TERA = {"sd": 0.8, "sdxl": 6.0}
"""Tera floating-point operations of one forward pass of the U-Net at 512 pixels (SD 2.1) and 1024 pixels (SDXL)."""
DECODER_TERA = {"sd": 2.5, "sdxl": 10.0}
"""The same for the decoder of the autoencoder."""
SIDES = {"sd": 512, "sdxl": 1024}
UTILISATION = 0.4
"""Share of the measured speed of matrix products that networks reach."""
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

    Time is computed from operations of the published networks and the measured speed of matrix products of the best
    device of this machine. It was not compared with a run at full size.

    Args:
        request: inputs of the study.
        out: folder of the study.
    """
    jobs = plan_models(request)
    lines = [f"{job.name}: facebench {' '.join(job.words)}" for job in jobs]
    counts = Counter(job.name.split()[0] for job in jobs)
    counts["evaluate"] = len(image_folders(request))
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
    device, speed = _speed()
    lines.append(f"measured: {speed:.2f} tera operations a second in matrix products on {device}")
    hours = {name: tera / (speed * UTILISATION) / 3600 for name, tera in operations(request).items()}
    lines += [f"time: {name}: {duration(value)}" for name, value in hours.items()]
    lines.append(
        f"time: all on one such device: {duration(sum(hours.values()))}, without evaluation and recognisers; computed "
        "from the operations of the published networks"
    )
    return lines


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


def operations(request: Request) -> dict[str, float]:
    """Tera operations of each part of the study, by its name."""
    totals: dict[str, float] = {"prior images": 0.0, "training": 0.0, "images": 0.0}
    settings, people = request.settings, len(request.people)
    for base in request.bases:
        scale = (settings.size(base.kind) / SIDES[base.kind]) ** 2
        unet, decoder = UNET_TERA[base.kind] * scale, DECODER_TERA[base.kind] * scale
        prior = settings.prior.images * (2 * settings.prior.steps * unet + decoder)  # guidance: two passes
        drawn = people * settings.draw.images * len(PROMPTS) * (len(request.losses) + 1)
        totals["prior images"] += prior
        totals["images"] += drawn * (2 * settings.draw.steps * unet + decoder)
        totals["training"] += people * sum(
            _training_operations(request, base, loss, unet, decoder) for loss in request.losses
        )
    return totals


def _training_operations(request: Request, base: BaseModel, loss: str, unet: float, decoder: float) -> float:
    content = _training_settings(request, base, loss)
    passes = 4 if content.get("gradient_checkpointing") else 3  # forward, backward, recomputation
    # An instance and a prior image; encoding costs about half of decoding.
    step = 2 * passes * unet + 2 * decoder / 2
    step += 0.0 if loss == "dreambooth" else passes * decoder
    return float(content["steps"] * content["batch_size"] * step)


def _training_settings(request: Request, base: BaseModel, loss: str) -> dict[str, Any]:
    config, changes = training_of(request, base, loss)
    return read(config, changes)


def _speed() -> tuple[str, float]:
    """Measure matrix products on the best device; return its name and tera operations a second."""
    import torch

    from facebench.training.engine.model_file import device_of

    device = device_of("auto")
    on_gpu = device.type == "cuda"
    side, repeats = (8192, 20) if on_gpu else (1024, 3)
    matrix = torch.ones(side, side, device=device, dtype=torch.float16 if on_gpu else torch.float32)
    matrix @ matrix
    _wait(device)
    start = time.perf_counter()
    for _ in range(repeats):
        matrix @ matrix
    _wait(device)
    return str(device), 2 * side**3 * repeats / (time.perf_counter() - start) / 1e12


def _wait(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize()
