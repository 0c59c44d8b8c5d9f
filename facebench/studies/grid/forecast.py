"""What a grid needs before its first step: weights, licences, data, disk, memory and time."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facebench.core.errors import FacebenchError
from facebench.images.image_set import ImageSet
from facebench.studies.grid.evaluation_time import UNMEASURED_SECONDS, EvaluationTime, evaluation_time
from facebench.studies.grid.grid_file import Cell, Grid
from facebench.studies.grid.job import Job
from facebench.studies.grid.plan import model_name
from facebench.training.presets import read

BUFFER_SECONDS = 0.3
"""Seconds per image of DECA and of the rendering on one processor core (docs/diffusionrig.md)."""
RENDER_SECONDS = {64: 0.025, 128: 0.031, 256: 0.089}
"""Seconds of a rendered face on one processor core, by pixels per side (docs/performance.md)."""
BUFFER_BYTES = {64: 13_000, 256: 108_000}
"""Bytes per image of a buffer set."""
TRANSFER_BYTES = 100_000
"""Bytes of a generated image of 256 pixels."""


@dataclass(frozen=True)
class Forecast:
    """Needs of a grid.

    Attributes:
        jobs: number of jobs by kind.
        missing: weights, data and checkpoints that are missing, one sentence each.
        licences: licences of the networks that are not freely usable, one sentence each.
        disk_needed: bytes that the grid writes, estimated.
        disk_free: free bytes in the output folder.
        parts: accumulated parts per batch that the memory requires, by ResNet; empty without a GPU.
        step_seconds: measured seconds of one training image, by ResNet; empty where nothing is trained.
        hours: hours on one device, by kind of job.
        evaluation: time of one image in the evaluation.
    """

    jobs: dict[str, int]
    missing: list[str]
    licences: list[str]
    disk_needed: int
    disk_free: int
    parts: dict[str, int]
    step_seconds: dict[str, float]
    hours: dict[str, float]
    evaluation: EvaluationTime

    @property
    def ready(self) -> bool:
        """Whether nothing is missing and the disk is large enough."""
        return not self.missing and self.disk_needed < self.disk_free

    def lines(self) -> list[str]:
        """Return the forecast as lines of text."""
        listed = ", ".join(f"{count} {kind}" for kind, count in self.jobs.items())
        lines = [f"jobs: {listed}"]
        lines += [f"missing: {sentence}" for sentence in self.missing] or ["missing: nothing"]
        lines += [f"licence: {sentence}" for sentence in self.licences]
        fits = "" if self.disk_needed < self.disk_free else "; free some space"
        lines.append(
            f"disk: about {self.disk_needed / 1e9:.1f} GB needed, {self.disk_free / 1e9:.1f} GB free{fits}"
        )
        lines += [
            f"memory: resnet{resnet}: batches in {n} accumulated parts" for resnet, n in self.parts.items()
        ]
        lines += [f"measured: resnet{r}: {s:.3f} s per training image" for r, s in self.step_seconds.items()]
        lines.append(f"measured: evaluation: {self.evaluation.seconds:.3f} s per image")
        if self.evaluation.unmeasured:
            lines.append(
                f"assumed: {UNMEASURED_SECONDS} s per image in each of {', '.join(self.evaluation.unmeasured)}, which "
                "have no weights here"
            )
        lines += [f"time: {kind}: {duration(hours)}" for kind, hours in self.hours.items()]
        lines.append(f"time: all on one device: {duration(sum(self.hours.values()))}")
        return lines


def forecast(grid: Grid, jobs: Sequence[Job], grid_folder: Path, out: Path) -> Forecast:
    """Compute the needs of a grid; one training step of each network is run to measure its time.

    Args:
        grid: the grid.
        jobs: its jobs, see `plan`.
        grid_folder: folder of the grid file.
        out: output folder.
    """
    trained = {
        cell["resnet"]: cell for cell in grid.cells if f"model {model_name(cell)}" in {j.name for j in jobs}
    }
    seconds = {resnet: _measured(grid, cell) for resnet, cell in trained.items()}
    existing = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    images = _images(grid, grid_folder)
    evaluation = evaluation_time(_evaluation_networks(grid), grid.buffers.size)
    return Forecast(
        dict(Counter(job.name.split()[0] for job in jobs)),
        _missing(grid, grid_folder),
        _licences(grid),
        _disk(grid, jobs, images),
        shutil.disk_usage(existing).free,
        _parts(grid, trained),
        seconds,
        _hours(grid, jobs, images, seconds) | _evaluation_hours(grid, images, evaluation),
        evaluation,
    )


def _networks(grid: Grid) -> list[str]:
    """Names of the networks that extractors and evaluation need."""
    readers = {str(level) for factor in ("conditioner", "target", "source") for level in grid.factors[factor]}
    names = sorted(readers - {"synthface", "compact"}) + (["facereader"] if "compact" in readers else [])
    names += ["flame", "flame-texture"] if readers & {"deca", "emoca"} else []
    return list(dict.fromkeys([*names, *_evaluation_networks(grid)]))


def _evaluation_networks(grid: Grid) -> list[str]:
    """Names of the networks that the metrics read, also of those without weights here."""
    from facebench.evaluation.cards import DETECTOR, find_card
    from facebench.evaluation.plan import make_plan, suite_cards
    from facebench.evaluation.protocols import find_protocol

    settings = grid.evaluate
    try:
        if settings.metrics is not None:
            cards = [find_card(metric) for metric in settings.metrics]
        elif settings.suite == "auto":
            cards = make_plan(settings.protocol).cards
        else:
            cards = suite_cards(find_protocol(settings.protocol), settings.suite)
    except FacebenchError:
        return []  # `_missing` reports it
    return sorted({name for card in cards for name in card.backbones} - {DETECTOR})


def _missing(grid: Grid, grid_folder: Path) -> list[str]:
    from facebench.backbones.weights import suite_ready
    from facebench.evaluation.plan import make_plan

    missing = [f"weights of {name}; see: facebench weights" for name in suite_ready(_networks(grid))]
    try:
        make_plan(grid.evaluate.protocol, grid.evaluate.suite, grid.evaluate.metrics)
    except FacebenchError as error:
        missing.append(f"evaluation: {error}")
    for name, source in grid.sets.items():
        if source.path is not None and not (grid_folder / source.path).exists():
            missing.append(
                f"data of the set '{name}': {(grid_folder / source.path).resolve()} does not exist"
            )
    return missing


def _licences(grid: Grid) -> list[str]:
    from facebench.backbones.weights.licences import licence_notice

    return licence_notice(_networks(grid))


def _images(grid: Grid, grid_folder: Path) -> dict[str, int]:
    """Number of images of each set; 0 where it cannot be listed."""
    counts = {}
    for name, source in grid.sets.items():
        if source.synth is not None:
            counts[name] = source.synth.identities * source.synth.images
            continue
        assert source.path is not None
        try:
            counts[name] = len(ImageSet.open(grid_folder / source.path))
        except FacebenchError:
            counts[name] = 0
    return counts


def _settings(config: str, changes: Sequence[str]) -> dict[str, Any]:
    return dict(read(config, changes))


def _configuration(grid: Grid, cell: Cell) -> Any:
    """Configuration of the network that a cell trains."""
    from facebench.training.tasks.registry import settings_class

    content = _settings(
        grid.train.config, [*grid.train.changes, f"model.encoder=resnet{cell['resnet']}", "data=x"]
    )
    kind = content.pop("train")
    return settings_class(kind).model_validate(content).model  # type: ignore[attr-defined]


def _measured(grid: Grid, cell: Cell) -> float:
    """Seconds per image of a training step on the best device.

    On a GPU, the second of two steps is measured. On a CPU, a step would need gigabytes and minutes at 256 pixels. It
    is taken as three times a forward pass without gradients.
    """
    import torch

    from facebench.training.engine.model_file import device_of
    from facebench.training.rig.memory import build_rig, one_step

    device = device_of("auto")
    network = build_rig(_configuration(grid, cell)).to(device)
    if device.type != "cuda":
        start = time.perf_counter()
        with torch.no_grad():
            one_step(network.eval(), 1, str(device))
        return 3 * (time.perf_counter() - start)
    images, seconds = 2, 0.0
    for _ in range(2):
        start = time.perf_counter()
        one_step(network.train(), images, str(device)).backward()  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
        seconds = (time.perf_counter() - start) / images
    return seconds


def _parts(grid: Grid, trained: dict[str, Cell]) -> dict[str, int]:
    from facebench.training.rig import memory

    available = memory.free_memory()
    if available is None:
        return {}
    batch = int(_settings(grid.train.config, grid.train.changes)["batch_size"])
    parts = {}
    for resnet, cell in trained.items():
        config = _configuration(grid, cell)
        needs = memory.bytes_per_image(config), memory.parameter_bytes(config)
        parts[resnet] = memory.parts_that_fit(batch, *needs, available)
    return parts


def _transfers(grid: Grid, images: dict[str, int]) -> int:
    """Generated images of all transfer jobs, reconstructions included."""
    targets, sources = images[grid.transfer.target], images.get(grid.transfer.source, 0)
    if isinstance(grid.transfer.pairs, int):
        pairs = grid.transfer.pairs
    elif grid.personal is not None:
        pairs, sources = images[grid.personal.albums] * targets, images[grid.personal.albums]
    else:
        pairs = sources
    return len(grid.cells) * (pairs + sources)


def _disk(grid: Grid, jobs: Sequence[Job], images: dict[str, int]) -> int:
    from facebench.training.rig import memory

    per_image = BUFFER_BYTES[64] * (grid.buffers.size / 64) ** 1.53
    sets = sum(
        images.get(job.name.split(" ")[1].rpartition("-")[0], 0) for job in jobs if job.name[:8] == "buffers "
    )
    albums = sum(job.name.startswith("album ") for job in jobs) * _album_images(grid, jobs, images)
    models = [cell for cell in grid.cells if f"model {model_name(cell)}" in {job.name for job in jobs}]
    trainings = sum(job.name.startswith(("model ", "person ")) for job in jobs)
    # A run keeps its model and three checkpoints with two moments each.
    model_bytes = 2.5 * memory.parameter_bytes(_configuration(grid, models[0])) * trainings if models else 0
    transfers = _transfers(grid, images) * TRANSFER_BYTES * (grid.buffers.size / 256) ** 2
    return int(per_image * (sets + albums) + model_bytes + transfers)


def _hours(
    grid: Grid, jobs: Sequence[Job], images: dict[str, int], seconds: dict[str, float]
) -> dict[str, float]:
    """Hours of each kind of job on one device."""
    hours: dict[str, float] = {"rendered sets": _rendering_hours(grid, jobs)}
    mean = sum(seconds.values()) / len(seconds) if seconds else 0.0
    buffered: float = sum(
        images.get(job.name.split(" ")[1].rpartition("-")[0], 0)
        for job in jobs
        if job.name.startswith("buffers ")
    )
    buffered += sum(job.name.startswith("album ") for job in jobs) * _album_images(grid, jobs, images)
    hours["buffers"] = buffered * BUFFER_SECONDS / 3600
    stages = [("model", grid.train.config, grid.train.changes)]
    if grid.personal is not None:
        stages.append(("person", grid.personal.config, grid.personal.changes))
    for kind, config, changes in stages:
        content = _settings(config, changes)
        count = sum(job.name.startswith(f"{kind} ") for job in jobs)
        hours[kind] = count * content["steps"] * content["batch_size"] * mean / 3600
    # A forward pass takes about a third of a training step.
    drawn = _transfers(grid, images) * grid.transfer.steps * grid.transfer.candidates
    hours["transfer"] = drawn * mean / 3 / 3600
    hours["buffers of transfers"] = _transfers(grid, images) * BUFFER_SECONDS / 3600
    return hours


def _album_images(grid: Grid, jobs: Sequence[Job], images: dict[str, int]) -> float:
    """Mean number of photographs of an album."""
    people = {job.name.split(" ")[1].rpartition("-")[0] for job in jobs if job.name.startswith("album ")}
    return images[grid.personal.albums] / len(people) if grid.personal is not None and people else 0.0


def _rendering_hours(grid: Grid, jobs: Sequence[Job]) -> float:
    """Hours of the sets of rendered faces."""
    names = {job.name for job in jobs}
    synths = [source.synth for name, source in grid.sets.items() if f"set {name}" in names]
    seconds = 0.0
    for synth in synths:
        if synth is not None:
            side = min((side for side in RENDER_SECONDS if side >= synth.size), default=max(RENDER_SECONDS))
            scale = max(1.0, (synth.size / side) ** 2)
            seconds += synth.identities * synth.images * RENDER_SECONDS[side] * scale
    return seconds / 3600


def _evaluation_hours(grid: Grid, images: dict[str, int], evaluation: EvaluationTime) -> dict[str, float]:
    """Hours of the evaluation: every transfer, and each source and target once."""
    sets = images.get(grid.transfer.source, 0) + images[grid.transfer.target]
    return {"evaluate": (_transfers(grid, images) + sets) * evaluation.seconds / 3600}


def duration(hours: float) -> str:
    """Return hours as text."""
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"
