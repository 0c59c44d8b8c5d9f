"""Measure the shipped autoencoder: identity of reconstructions, and affect and identity of edits by strength.

All faces are of people outside the training data. Prints Markdown for docs/diffae-64-synthface.md and draws its
figures.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import stats
from study import Aim, Once, write_truth

from facebench import backbones
from facebench.backbones.face_detection import FaceFinder, align
from facebench.training.editing import directions as files
from facebench.training.editing.autoencoder import Images, Latents, Steps
from facebench.training.editing.directions import Directions
from facebench.training.editing.edit_images import read_sources
from facebench.training.engine.image_grid import grid
from facebench.training.models.load import open_autoencoder

AIMS = (Aim("happy", "happy"), Aim("angry", "angry"))
SIGNS = {"happy": {"valence": 1, "arousal": 1}, "angry": {"valence": -1, "arousal": 1}}
"""Right direction of valence and arousal; the expressions are at (0.8, 0.4) and (-0.6, 0.65)."""
STRANGERS = 4
"""Seed of people outside the training data of the autoencoder (seed 1) and of the directions (seed 2)."""
FALSE_MATCHES = 1e-3
AVERAGED = 20
"""Steps that are averaged for one point of the training curve."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Read:
    """Outputs of networks for n images; NaN where no face is detected.

    Attributes:
        embedding: (n, 128) of SFace, unit norm.
        valence: (n,) of FaceReader.
        arousal: (n,) of FaceReader.
    """

    embedding: Floats
    valence: Floats
    arousal: Floats


def main() -> None:
    options = _options()
    out: Path = options.out
    network = open_autoencoder(options.checkpoint)
    size = network.config.size
    wanted = [aim.expression for aim in AIMS]
    write_truth(out / "faces", wanted, options.people, seed=STRANGERS, image=0, size=size)
    faces = read_sources(out / "faces" / "neutral", size)
    autoencoder = Once(network, Steps(options.steps, options.steps), faces)
    found = files.read(options.directions)
    source, rebuilt = read(faces.images), read(autoencoder.unedited)
    threshold = print_likeness(autoencoder, source, rebuilt)
    points: dict[str, list[tuple[float, float, float]]] = {}
    sheets = [faces.images, autoencoder.unedited]
    head = ("edit towards", "strength", "right direction: valence", "arousal", "change: valence", "arousal")
    print(f"\n| {' | '.join(head)} | cosine to the source | above the threshold |\n{'|---' * 8}|")
    for aim in AIMS:
        for strength in options.strengths:
            made = edited(autoencoder, found, aim, strength)
            seen = read(made)
            points.setdefault(aim.expression, []).append(
                print_edit(aim, strength, source, rebuilt, seen, threshold)
            )
            if strength == options.shown:
                sheets.append(made)
        sheets.append(read_sources(out / "faces" / aim.expression, network.config.size).images)
    draw(points, threshold, out / "trade-off.png")
    sheet = Image.fromarray(grid(np.concatenate([images[:10] for images in sheets]), 10))
    sheet.resize((2 * sheet.width, 2 * sheet.height), Image.Resampling.LANCZOS).save(out / "edits.png")
    if options.runs:
        draw_training(options.runs, out)


def edited(autoencoder: Once, found: Directions, aim: Aim, strength: float) -> Images:
    """Edit all faces."""
    moved = found.edit(autoencoder.codes.z_sem, aim.attribute, aim.sign * strength)
    return autoencoder.render(Latents(moved, autoencoder.codes.x_T))


def read(images: Images) -> Read:
    """Apply SFace and FaceReader."""
    finder, sface, reader = FaceFinder(), backbones.build("sface"), backbones.build("facereader")
    embeddings, valence, arousal = np.full((len(images), 128), np.nan), *np.full((2, len(images)), np.nan)
    for row, image in enumerate(images):
        face = finder.find(image)
        if face is None:
            continue
        crop = align(image, face.landmarks)
        embedding = sface.embed(sface.preprocess(crop)[None])["embedding"][0]
        embeddings[row] = embedding / np.linalg.norm(embedding)
        outputs = reader.embed(reader.preprocess(crop)[None])
        valence[row], arousal[row] = float(outputs["valence"][0]), float(outputs["arousal"][0])
    return Read(embeddings, valence, arousal)


def print_likeness(autoencoder: Once, source: Read, rebuilt: Read) -> float:
    """Print scores of reconstructions and of impostor pairs; return the verification threshold."""
    scores = source.embedding @ source.embedding.T
    impostor = scores[np.triu_indices(len(scores), 1)]
    impostor = impostor[np.isfinite(impostor)]
    threshold = float(np.quantile(impostor, 1 - FALSE_MATCHES))
    noise = torch.randn(autoencoder.codes.x_T.shape, generator=torch.Generator().manual_seed(0))
    meant = read(autoencoder.render(Latents(autoencoder.codes.z_sem, noise)))
    print(f"{len(impostor)} impostor pairs: mean {impostor.mean():.3f}, highest {impostor.max():.3f}; ")
    print(f"threshold at a false match rate of {FALSE_MATCHES:g}: {threshold:.3f}\n")
    print(
        "| reconstructed from | cosine to the source | above the threshold | faces found |\n|---|---|---|---|"
    )
    for name, seen in (("z_sem and x_T", rebuilt), ("z_sem alone", meant)):
        own = (source.embedding * seen.embedding).sum(axis=1)
        print(f"| {name} | {_mean(own)} | {_share(own >= threshold)} | {_share(np.isfinite(own))} |")
    return threshold


def print_edit(
    aim: Aim, strength: float, source: Read, rebuilt: Read, seen: Read, threshold: float
) -> tuple[float, float, float]:
    """Print a row; return the change of valence in the right direction, the mean cosine, and the strength."""
    own = (source.embedding * seen.embedding).sum(axis=1)
    right, moved = [], []
    for name, sign in SIGNS[aim.expression].items():
        change = getattr(seen, name) - getattr(rebuilt, name)
        right.append(_share(sign * change > 0))
        moved.append(_mean(change))
    cells = (aim.expression, f"{strength:g}", *right, *moved, _mean(own), _share(own >= threshold))
    print(f"| {' | '.join(cells)} |")
    valence = SIGNS[aim.expression]["valence"] * np.nanmean(seen.valence - rebuilt.valence)
    return float(valence), float(np.nanmean(own)), strength


def draw(points: dict[str, list[tuple[float, float, float]]], threshold: float, path: Path) -> None:
    """Draw identity against the change of valence."""
    figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
    for name, found in points.items():
        axis.plot(
            [gain for gain, _, _ in found],
            [kept for _, kept, _ in found],
            "o-",
            label=f"edits towards {name}",
        )
        for gain, kept, strength in found:
            axis.annotate(
                f"{strength:g}", (gain, kept), textcoords="offset points", xytext=(4, 4), fontsize=8
            )
    axis.axhline(threshold, color="0.5", linestyle=":", label="threshold, FMR 0.1 %")
    axis.set(
        xlabel="change of valence in the right direction (FaceReader)",
        ylabel="cosine to the source (SFace)",
    )
    axis.legend()
    figure.savefig(path, dpi=110)


def draw_training(runs: Sequence[Path], out: Path) -> None:
    """Draw the loss of every run, averaged over 20 steps, and write it as one table."""
    figure, axes = plt.subplots(1, len(runs), figsize=(4 * len(runs), 3), layout="constrained", squeeze=False)
    rows = []
    for axis, run in zip(axes.flat, runs, strict=True):
        with (run / "log.csv").open(newline="", encoding="utf-8") as file:
            found = [
                (int(row["step"]), float(row["value"]))
                for row in csv.DictReader(file)
                if row["name"] == "loss"
            ]
        parts = [found[start : start + AVERAGED] for start in range(0, len(found), AVERAGED)]
        line = [(part[-1][0], statistics.fmean(value for _, value in part)) for part in parts]
        rows += [{"run": run.name, "step": step, "loss": f"{value:.5f}"} for step, value in line]
        axis.plot(*zip(*line, strict=True))
        axis.set(title=run.name, xlabel="step", yscale="log")
    axes[0, 0].set_ylabel("loss")
    figure.savefig(out / "training.png", dpi=110)
    with (out / "training.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def _mean(values: Floats) -> str:
    known = values[np.isfinite(values)].tolist()
    mean = statistics.fmean(known)
    half = stats.t.ppf(0.975, len(known) - 1) * statistics.stdev(known) / math.sqrt(len(known))
    return f"{mean:.3f} [{mean - half:.3f}, {mean + half:.3f}]"


def _share(has: NDArray[np.bool_] | Sequence[bool]) -> str:
    count = int(np.sum(has))
    interval = stats.binomtest(count, len(has)).proportion_ci(method="wilson")
    return f"{count / len(has):.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/card-diffae"))
    parser.add_argument("--checkpoint", type=Path, default=Path("diffae-64-synthface"))
    parser.add_argument("--directions", type=Path, default=Path("directions-64-synthface"))
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="runs whose loss is drawn")
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--strengths", type=float, nargs="+", default=[0.4, 0.8, 1.2, 1.6])
    parser.add_argument("--shown", type=float, default=1.2, help="strength of the edits in the figure")
    parser.add_argument("--steps", type=int, default=20, help="DDIM steps of encoding and of decoding")
    return parser.parse_args()


if __name__ == "__main__":
    main()
