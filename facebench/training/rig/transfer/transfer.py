"""`facebench transfer`: read codes of two faces, exchange some of them, and render the result with a DiffusionRig."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from facebench.core.errors import InputError
from facebench.core.files import atomic_write_text
from facebench.core.progress import Progress, no_progress, renamed
from facebench.images.image_set import ImageSet, Item
from facebench.training.rig.buffers.extractors import EXTRACTORS, Extractor, check_extractor, open_extractor
from facebench.training.rig.buffers.flame_codes import (
    Codes,
    Space,
    TransferKind,
    check_transfer_kind,
    with_shape,
)
from facebench.training.rig.buffers.results import Found, NotFound
from facebench.training.rig.files import Trained, open_rig
from facebench.training.rig.transfer.drawing import TRAINED_STEPS, Drawing, Keep, Noise
from facebench.training.rig.transfer.painting import Job, Painter, save_image
from facebench.training.rig.transfer.pairs import (
    Pair,
    all_pairs,
    described,
    pair_up,
    read_pairs,
    refuse_same,
)
from facebench.training.rig.transfer.shapes import OWN, choose_shape, items_to_read, shapes_of_sources

BATCH = 16
HEADER = "transfer.json"
ALL_PAIRS = "all"


@dataclass(frozen=True)
class TransferConfig:
    """Options of a transfer.

    Attributes:
        extractor_source: extractor of identity, pose and light of the sources.
        extractor_target: extractor of the expression of the targets.
        pairs: CSV file with the columns source and target, or "all" for every source with every target; None pairs the
            images as `pair_up` does.
        what: "expression" (ψ and the jaw), "light" or "pose".
        shape: "own", "album" (the mean over the source's album), or the path of a mean shape; None takes the album for
            a model that was trained with a mean shape.
        sampler: "ddim", "ddpm" or "dpm-solver++", with or without steps, such as "ddim50".
        steps: number of steps; by default those of the sampler: 20, 1000 or 30.
        diffusion_steps: length of the noise schedule, see `Drawing`.
        seed: seed of the noise.
        noise: "per-source", or "shared" by all images.
        candidates: number of images drawn for each transfer, of which one is kept.
        keep: "sharpest" or "least-sharp" candidate.
    """

    extractor_source: str
    extractor_target: str
    pairs: str | Path | None = None
    what: str = "expression"
    shape: str | None = None
    sampler: str = "ddim"
    steps: int | None = None
    diffusion_steps: int = TRAINED_STEPS
    seed: int = 0
    noise: Noise = "per-source"
    candidates: int = 1
    keep: Keep = "sharpest"

    @property
    def drawing(self) -> Drawing:
        """Settings of the sampling."""
        return Drawing.of(
            self.sampler,
            self.steps,
            diffusion_steps=self.diffusion_steps,
            seed=self.seed,
            noise=self.noise,
            candidates=self.candidates,
            keep=self.keep,
        )


@dataclass(frozen=True)
class _Codes:
    """Results of one extractor, by image name."""

    found: Mapping[str, Found]
    missing: Mapping[str, NotFound]


def transfer(
    checkpoint: str | Path,
    source: str | Path,
    target: str | Path,
    out: str | Path,
    *,
    device: str = "cpu",
    progress: Progress = no_progress,
    **options: Any,
) -> Path:
    """Transfer the expression, light or pose of target faces to source faces.

    The model's latent comes from the photo of the source. The initial noise depends on the seed and the name of the
    source only, so edited and unedited images share it. Repeated runs agree bit for bit within one machine.

    Args:
        checkpoint: DiffusionRig, see `facebench.training.rig.files.open_rig`.
        source: images whose identity stays.
        target: images whose expression is transferred.
        out: output folder; an interrupted run continues.
        device: device of the networks.
        progress: callback invoked after each batch.
        **options: fields of `TransferConfig`.

    Returns:
        Path of the manifest, the input of `facebench evaluate --protocol expression-transfer`.

    Raises:
        InputError: extractors or pairs do not fit, no pair has two faces, or the folder holds something else.
        WeightsError: the checkpoint or a file of an extractor is missing or wrong.
    """
    config = TransferConfig(**options)
    kind, drawing = check_transfer_kind(config.what), config.drawing
    trained = open_rig(Path(checkpoint))
    config = replace(config, shape=choose_shape(config.shape, trained))
    _refuse_other_spaces(trained, config.extractor_source, config.extractor_target)
    sets = ImageSet.open(source), ImageSet.open(target)
    pairs = _pairs(config, *sets)
    folder = Path(out)
    _begin(folder, _settings(Path(checkpoint), pairs, config))
    space, sources, targets = _read_both(config, sets, pairs, trained.size, device, progress)
    _write_skipped(folder, pairs, sources, targets)
    complete = [
        pair for pair in pairs if pair.source.name in sources.found and pair.target.name in targets.found
    ]
    if not complete:
        raise InputError(f"No face was found in one or both images of all {len(pairs)} pairs.")
    painter = Painter(trained, space, drawing, device)
    jobs = _jobs(complete, sources, targets, space, kind)
    for start in range(0, len(jobs), BATCH):
        painter.paint(folder, jobs[start : start + BATCH], sources.found)
        progress("painting", min(start + BATCH, len(jobs)), len(jobs))
    _save_photos(folder, sources, targets)
    return _write_manifest(folder, complete, kind)


def _pairs(config: TransferConfig, sources: ImageSet, targets: ImageSet) -> list[Pair]:
    if config.pairs is None:
        pairs = pair_up(sources, targets)
    elif str(config.pairs) == ALL_PAIRS:
        pairs = all_pairs(sources, targets)
    else:
        pairs = read_pairs(Path(config.pairs), sources, targets)
    refuse_same(pairs)
    return pairs


def _settings(checkpoint: Path, pairs: Sequence[Pair], config: TransferConfig) -> dict[str, Any]:
    """Everything that the results depend on, for the header of the output folder."""
    model = checkpoint / "model.safetensors" if checkpoint.is_dir() else checkpoint
    return {
        "checkpoint": hashlib.sha256(model.read_bytes()).hexdigest(),
        "pairs": [[str(pair.source.path), str(pair.target.path)] for pair in pairs],
        "extractors": [config.extractor_source, config.extractor_target],
        "what": config.what,
        "shape": config.shape,
        **asdict(config.drawing),
    }


def _refuse_other_spaces(trained: Trained, *names: str) -> None:
    for name in names:
        space = EXTRACTORS[check_extractor(name)]
        if space != trained.space:
            fitting = [extractor for extractor, its_space in EXTRACTORS.items() if its_space == trained.space]
            raise InputError(
                f"The extractor '{name}' reads {space} codes, but the checkpoint was trained with {trained.summary} "
                f"({trained.space} codes). Use one of: {', '.join(fitting)}."
            )


def _begin(folder: Path, settings: Mapping[str, Any]) -> None:
    """Start the output folder, or check that it holds an unfinished transfer with the same settings."""
    text = json.dumps(settings, indent=1) + "\n"
    header = folder / HEADER
    if header.is_file():
        if header.read_text(encoding="utf-8") != text:
            raise InputError(f"{folder} holds other transfers ({HEADER} differs). Use another --out.")
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty and holds no transfers; name a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_text(header, text)


def _read_both(
    config: TransferConfig,
    sets: tuple[ImageSet, ImageSet],
    pairs: Sequence[Pair],
    size: int,
    device: str,
    progress: Progress,
) -> tuple[Space, _Codes, _Codes]:
    """Space of the source's codes, and the codes of all sources and targets."""
    of_source = open_extractor(config.extractor_source, device)
    same = config.extractor_target == config.extractor_source
    of_target = of_source if same else open_extractor(config.extractor_target, device)
    shape = config.shape or OWN
    sources = items_to_read(shape, sets[0], [pair.source for pair in pairs])
    targets = [pair.target for pair in pairs]
    read_sources = _read(of_source, sets[0], sources, size, renamed(progress, "reading sources"))
    read_sources = _with_shapes(
        read_sources, shapes_of_sources(shape, read_sources.found, sets[0], of_source.space)
    )
    read_targets = _read(of_target, sets[1], targets, size, renamed(progress, "reading targets"))
    return of_source.space, read_sources, read_targets


def _read(
    extractor: Extractor, images: ImageSet, items: Sequence[Item], size: int, progress: Progress
) -> _Codes:
    """Read every image once."""
    distinct = list({item.name: item for item in items}.values())
    found: dict[str, Found] = {}
    missing: dict[str, NotFound] = {}
    for start in range(0, len(distinct), BATCH):
        batch = distinct[start : start + BATCH]
        for item, result in zip(batch, extractor.read(images, batch, size), strict=True):
            if isinstance(result, Found):
                found[item.name] = result
            else:
                missing[item.name] = result
        progress("reading", min(start + BATCH, len(distinct)), len(distinct))
    return _Codes(found, missing)


def _with_shapes(codes: _Codes, shapes: Mapping[str, Codes]) -> _Codes:
    """Replace the shape of the sources that have one in `shapes`."""
    found = {
        name: Found(with_shape(one.codes, shapes[name]), one.photo) if name in shapes else one
        for name, one in codes.found.items()
    }
    return _Codes(found, codes.missing)


def _jobs(
    pairs: Sequence[Pair], sources: _Codes, targets: _Codes, space: Space, kind: TransferKind
) -> list[Job]:
    """Images to render: each source unchanged, then each transfer."""
    distinct = {pair.source.name: pair.source for pair in pairs}.values()
    jobs = [
        Job(f"reconstructions/{_stem(item.name)}", item, sources.found[item.name].codes) for item in distinct
    ]
    for number, pair in enumerate(pairs):
        onto, of = sources.found[pair.source.name].codes, targets.found[pair.target.name].codes
        jobs.append(Job(f"images/{number:05d}", pair.source, space.transferred(onto, of, kind)))
    return jobs


def _save_photos(folder: Path, sources: _Codes, targets: _Codes) -> None:
    for side, codes in (("sources", sources), ("targets", targets)):
        for name, result in codes.found.items():
            save_image(folder / side / f"{_stem(name)}.png", result.photo)


def _write_manifest(folder: Path, pairs: Sequence[Pair], kind: str) -> Path:
    rows = [
        {
            "image": f"images/{number:05d}.png",
            "source": f"sources/{_stem(pair.source.name)}.png",
            "target": f"targets/{_stem(pair.target.name)}.png",
            "reconstruction": f"reconstructions/{_stem(pair.source.name)}.png",
            **described(pair, kind),
        }
        for number, pair in enumerate(pairs)
    ]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    path = folder / "manifest.csv"
    atomic_write_text(path, text.getvalue())
    return path


def _write_skipped(folder: Path, pairs: Sequence[Pair], sources: _Codes, targets: _Codes) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("source", "target", "image", "reason", "detail"))
    for pair in pairs:
        for item, codes in ((pair.source, sources), (pair.target, targets)):
            if item.name in codes.missing:
                result = codes.missing[item.name]
                table.writerow((pair.source.name, pair.target.name, item.name, result.reason, result.detail))
    atomic_write_text(folder / "skipped.csv", text.getvalue())


def _stem(name: str) -> str:
    """Flat file name of an image."""
    return name.removesuffix(".png").replace("/", "__")
