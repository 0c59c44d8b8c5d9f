"""`facebench transfer`: read two faces, exchange what was asked for, draw the buffers, and let the model paint."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from facebench.core.errors import InputError
from facebench.images.image_set import ImageSet, Item
from facebench.training.diffusion import ddim_decode
from facebench.training.engine.image_grid import to_images
from facebench.training.rig.buffers.extractors import (
    EXTRACTORS,
    Extractor,
    Found,
    NotFound,
    check_extractor,
    open_extractor,
)
from facebench.training.rig.buffers.flame_codes import Codes, Space, What, check_what
from facebench.training.rig.buffers.images import Picture
from facebench.training.rig.files import Trained, open_rig
from facebench.training.rig.transfer.pairs import Pair, described, pair_up, read_pairs, refuse_same

Progress = Callable[[str, int, int], None]
STEPS = 20
BATCH = 16
HEADER = "transfer.json"
_Job = tuple[str, Item, Codes]
"""Name of the picture, whose photo the code is read from, and what to draw."""


@dataclass(frozen=True)
class _Read:
    """Codes and photos of the images that were needed, and why others have none."""

    found: Mapping[str, Found]
    missing: Mapping[str, NotFound]


def transfer(
    checkpoint: str | Path,
    source: str | Path,
    target: str | Path,
    out: str | Path,
    *,
    extractor_source: str,
    extractor_target: str,
    pairs: str | Path | None = None,
    what: str = "expression",
    steps: int = STEPS,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Path:
    """Put the expression (or light, or pose) of target faces onto source faces.

    The model keeps the code that its encoder reads from the source's photo, and paints from noise that depends on
    the seed and the source alone: the same in every run, and the same with and without the edit.

    Args:
        checkpoint: a DiffusionRig, see `facebench.training.rig.files.open_rig`.
        source: images whose identity stays.
        target: images whose expression is taken.
        out: folder to write; a stopped run goes on.
        extractor_source: who reads identity, pose and light of the source.
        extractor_target: who reads the expression of the target.
        pairs: CSV file with the columns source and target; without it see `pair_up`.
        what: "expression" (ψ and the jaw), "light" or "pose".
        steps: of DDIM.
        seed: of the noise.
        device: of the networks.
        progress: called with stage, pictures done and all.

    Returns:
        The manifest that `facebench evaluate --protocol expression-transfer` reads: `out`/manifest.csv.

    Raises:
        InputError: extractors that do not fit the checkpoint or each other, pairs of one image with itself, names that
            are not there, no face in any pair, or a folder with something else in it.
        WeightsError: a checkpoint or an extractor's file is missing or wrong.
    """
    asked, tell = check_what(what), progress or (lambda *_: None)
    trained = open_rig(Path(checkpoint))
    _refuse_other_spaces(trained, extractor_source, extractor_target)
    sources, targets = ImageSet.open(source), ImageSet.open(target)
    chosen = read_pairs(Path(pairs), sources, targets) if pairs is not None else pair_up(sources, targets)
    refuse_same(chosen)
    settings = {
        "checkpoint": hashlib.sha256(_model_path(Path(checkpoint)).read_bytes()).hexdigest(),
        "pairs": [[str(pair.source.path), str(pair.target.path)] for pair in chosen],
        "extractors": [extractor_source, extractor_target],
        "what": what,
        "steps": steps,
        "seed": seed,
    }
    folder = Path(out)
    _begin(folder, settings)
    reader = open_extractor(extractor_source, device)
    other = reader if extractor_target == extractor_source else open_extractor(extractor_target, device)
    takers = _read(reader, sources, [pair.source for pair in chosen], trained.size, tell, "reading sources")
    givers = _read(other, targets, [pair.target for pair in chosen], trained.size, tell, "reading targets")
    _list_skipped(folder, chosen, takers, givers)
    whole = [pair for pair in chosen if pair.source.name in takers.found and pair.target.name in givers.found]
    if not whole:
        raise InputError(f"No face was found in one or both images of all {len(chosen)} pairs.")
    jobs = _jobs(whole, takers, givers, reader.space, asked)
    painter = _Painter(trained, reader.space, steps, seed, device)
    for start in range(0, len(jobs), BATCH):
        painter.paint(folder, jobs[start : start + BATCH], takers.found)
        tell("painting", min(start + BATCH, len(jobs)), len(jobs))
    for side, read in (("sources", takers), ("targets", givers)):
        for name, one in read.found.items():
            _save(folder / side / f"{_stem_of(name)}.png", one.photo)
    return _manifest(folder, whole, asked)


def _jobs(pairs: Sequence[Pair], takers: _Read, givers: _Read, space: Space, what: What) -> list[_Job]:
    """What to paint: every source as it is, then every transfer."""
    unchanged = {pair.source.name: pair.source for pair in pairs}.values()
    jobs = [(f"reconstructions/{_stem(item)}", item, takers.found[item.name].codes) for item in unchanged]
    for number, pair in enumerate(pairs):
        onto, of = takers.found[pair.source.name].codes, givers.found[pair.target.name].codes
        jobs.append((f"images/{number:05d}", pair.source, space.transferred(onto, of, what)))
    return jobs


class _Painter:
    """The model, and the noise that it begins with."""

    def __init__(self, trained: Trained, space: Space, steps: int, seed: int, device: str) -> None:
        self.trained, self.space, self.steps, self.seed, self.device = trained, space, steps, seed, device
        self.network = trained.network.to(device)

    @torch.no_grad()
    def paint(self, folder: Path, jobs: Sequence[_Job], found: Mapping[str, Found]) -> None:
        """Paint what is not there yet."""
        left = [job for job in jobs if not (folder / f"{job[0]}.png").is_file()]
        if not left:
            return
        photos = np.stack([found[item.name].photo for _, item, _ in left])
        x_0 = (torch.from_numpy(photos).permute(0, 3, 1, 2).float() / 127.5 - 1).to(self.device)
        conditions = torch.stack([self._conditions(codes) for _, _, codes in left]).to(self.device)
        noise = torch.stack([self._noise(item) for _, item, _ in left]).to(self.device)
        denoiser = self.network.driven_by(conditions)
        made = to_images(ddim_decode(denoiser, noise, self.network.encode(x_0), self.steps))
        for (name, _, _), image in zip(left, made, strict=True):
            _save(folder / f"{name}.png", image)

    def _conditions(self, codes: Codes) -> Tensor:
        conditions = torch.from_numpy(self.space.draw(codes, self.trained.size).conditions)
        conditions[:3].clamp_(0, self.trained.brightest)
        return conditions

    def _noise(self, item: Item) -> Tensor:
        digest = hashlib.sha256(f"{self.seed}:{item.name}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
        return torch.randn((3, self.trained.size, self.trained.size), generator=generator)


def _refuse_other_spaces(trained: Trained, *names: str) -> None:
    for name in names:
        space = EXTRACTORS[check_extractor(name)]
        if space != trained.space:
            raise InputError(
                f"The extractor '{name}' reads {space} codes, but the checkpoint was trained with {trained.said} "
                f"({trained.space} codes). Use one of: "
                f"{', '.join(other for other, its in EXTRACTORS.items() if its == trained.space)}."
            )


def _begin(folder: Path, settings: Mapping[str, Any]) -> None:
    text = json.dumps(settings, indent=1) + "\n"
    header = folder / HEADER
    if header.is_file():
        if header.read_text(encoding="utf-8") != text:
            raise InputError(f"{folder} holds other transfers ({HEADER} differs). Use another --out.")
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} holds something else already; name a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    header.write_text(text, encoding="utf-8")


def _read(
    extractor: Extractor, images: ImageSet, wanted: Sequence[Item], size: int, tell: Progress, stage: str
) -> _Read:
    """Every image once."""
    items = list({item.name: item for item in wanted}.values())
    found: dict[str, Found] = {}
    missing: dict[str, NotFound] = {}
    for start in range(0, len(items), BATCH):
        part = items[start : start + BATCH]
        for item, one in zip(part, extractor.read(images, part, size), strict=True):
            if isinstance(one, Found):
                found[item.name] = one
            else:
                missing[item.name] = one
        tell(stage, min(start + BATCH, len(items)), len(items))
    return _Read(found, missing)


def _manifest(folder: Path, pairs: Sequence[Pair], what: str) -> Path:
    rows = []
    for number, pair in enumerate(pairs):
        rows.append(
            {
                "image": f"images/{number:05d}.png",
                "source": f"sources/{_stem(pair.source)}.png",
                "target": f"targets/{_stem(pair.target)}.png",
                "reconstruction": f"reconstructions/{_stem(pair.source)}.png",
                **described(pair, what),
            }
        )
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    path = folder / "manifest.csv"
    partial = path.with_name("manifest.csv.partial")
    partial.write_text(text.getvalue(), encoding="utf-8")
    partial.replace(path)
    return path


def _list_skipped(folder: Path, pairs: Sequence[Pair], takers: _Read, givers: _Read) -> None:
    with (folder / "skipped.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("source", "target", "image", "reason", "detail"))
        for pair in pairs:
            for item, read in ((pair.source, takers), (pair.target, givers)):
                if item.name in read.missing:
                    why = read.missing[item.name]
                    table.writerow((pair.source.name, pair.target.name, item.name, why.reason, why.detail))


def _save(path: Path, image: Picture) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    try:
        Image.fromarray(image).save(partial, "PNG")
        partial.replace(path)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error}). Free some space and run the same command."
        ) from None


def _stem(item: Item) -> str:
    return _stem_of(item.name)


def _stem_of(name: str) -> str:
    """A flat file name that stays unique."""
    return name.removesuffix(".png").replace("/", "__")


def _model_path(checkpoint: Path) -> Path:
    return checkpoint / "model.safetensors" if checkpoint.is_dir() else checkpoint
