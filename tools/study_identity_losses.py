"""Measure the losses that preserve identity: fine-tune the shipped autoencoder with and without each of them.

Each variant is trained on the same people for the same number of steps, with several seeds, at a learning rate that
reduces quality. Then it edits a new image of each person, and the edits are compared with the rendered truth and with
the renderer's β. The encoder is trained as well, so directions are fitted for every model, on other people. Run it with
`make study-identity-losses`; a stopped study continues.
"""

from __future__ import annotations

import argparse
import functools
import math
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import stats
from study import RENDERED, Aim, Bench, Once, codes_of_strangers, write_aligned, write_rows, write_truth
from study_shape import PersonMeasures, ShapeTruth, read_measures, write_measures

from facebench.evaluation.record import Run
from facebench.studies.factorial.crossed import Mean, crossed_mean
from facebench.synthface import dataset
from facebench.training import presets
from facebench.training.editing import directions as files
from facebench.training.editing.autoencoder import Steps
from facebench.training.editing.directions import Directions
from facebench.training.editing.edit_images import read_sources
from facebench.training.editing.fit_directions import fit
from facebench.training.engine import loop
from facebench.training.models import DiffusionAutoencoder
from facebench.training.models.load import open_autoencoder
from facebench.training.tasks import registry

START = "shipped model"


@dataclass(frozen=True)
class Variant:
    """Weights of the losses besides L_simple, and the variant to which the last loss was added."""

    weights: dict[str, float]
    added_to: str


VARIANTS: dict[str, Variant] = {
    "simple": Variant({}, START),
    "prior": Variant({"prior": 1.0}, "simple"),
    "prior + identity": Variant({"prior": 1.0, "identity": 0.1}, "prior"),
    "prior + triplet": Variant({"prior": 1.0, "triplet": 0.1}, "prior"),
    "prior + triplet + shape": Variant({"prior": 1.0, "triplet": 0.1, "shape": 0.05}, "prior + triplet"),
    "prior + 10 identity": Variant({"prior": 1.0, "identity": 1.0}, "prior"),
    "prior + 10 triplet": Variant({"prior": 1.0, "triplet": 1.0}, "prior"),
    "prior + 10 shape": Variant({"prior": 1.0, "shape": 0.5}, "prior"),
    "prior + 10 triplet + 10 shape": Variant(
        {"prior": 1.0, "triplet": 1.0, "shape": 0.5}, "prior + 10 triplet"
    ),
}
"""The prior of DreamBooth, combined with the losses of PortraitBooth and ID-Booth, and with a shape loss."""
AIMS = ("happy", "angry")
METRICS = (
    "identity_similarity_faceapi", "eer_faceapi_real", "identity_similarity_sface", "eer_sface_real",
    "shape_distance_reader", "valence_error_reader", "arousal_error_reader", "expression_agreement_reader",
)  # fmt: skip
MEASURES = tuple(PersonMeasures.__dataclass_fields__)
FORMS = ("self-prior", "other-other")
"""Forms of the triplet loss: source of the positive and of the negative."""
PEOPLE_TABLE = "people.csv"
SEEN = 12
"""Training images of each person; the next image is edited."""
PEOPLE_SEED = 5


def main() -> None:
    options = _options()
    out: Path = options.out
    size = open_autoencoder(options.checkpoint).config.size
    write_truth(out / "faces", AIMS, options.people, seed=PEOPLE_SEED, image=SEEN, size=size)
    if not (out / "album" / "manifest.csv").exists():
        shutil.rmtree(out / "rendered-album", ignore_errors=True)
        dataset.write(out / "rendered-album", options.people, SEEN, RENDERED, PEOPLE_SEED)
        write_aligned(out / "rendered-album", out / "album", size)
    recogniser = options.recogniser or train_recogniser(out / "recogniser")
    truth = ShapeTruth(
        out / "truth",
        options.people,
        seed=PEOPLE_SEED,
        image=SEEN,
        size=size,
        strangers=options.probe_people,
    )
    runs = []
    for seed in range(options.seeds):
        for variant in (START, *options.variants):
            if variant == START and seed > 0:
                continue
            cells = edit_people(variant, seed, recogniser, options)
            measure_people(cells, truth, out / "faces")
            if not options.people_only:
                runs += judge(cells, variant, seed, out)
                write_rows(out / "results.csv", runs)
    pictures(out, options.variants).save(out / "edits.jpg", quality=90)
    draw_people(options, out / "people.png")
    text = people_table(options, truth)
    if runs:
        strongest = [run for run in runs if run.tags["strength"] == str(max(options.strengths))]
        draw(strongest, options.variants, out / "identity-losses.png")
        draw_trade_off(runs, options.variants, out / "trade-off.png")
        text += "\n\n" + table(strongest, options.variants, options.seeds)
    (out / "tables.md").write_text(text + "\n", encoding="utf-8")
    print(text)


def train_recogniser(out: Path) -> Path:
    """Train the recogniser of the losses on other synthetic people; the evaluation uses another one."""
    model = out / "model.safetensors"
    if not model.exists():
        print("training the recogniser of the losses", flush=True)
        train("recognition", presets.read("recognition-synthface"), out)
    return model


def edit_people(
    variant: str, seed: int, recogniser: Path, options: argparse.Namespace
) -> dict[tuple[str, float], Path]:
    """Fine-tune one variant and edit every person; return the folders of the cells by aim and strength."""
    place = place_of(options.out, variant, seed)
    cells = {(aim, strength): place / f"{aim}-{strength}" for aim in AIMS for strength in options.strengths}
    if all((cell / "edits" / "manifest.csv").exists() for cell in cells.values()):
        return cells
    print(place.name, flush=True)
    if variant != START:
        train("compact-autoencoder", content(variant, seed, recogniser, options), place / "model")
    network = open_autoencoder(options.checkpoint if variant == START else place / "model")
    directions = find_directions(place / "directions", network, options.training_people)
    sources = read_sources(options.out / "faces" / "neutral", network.config.size)
    autoencoder = Once(network, Steps(options.render_steps, options.render_steps), sources)
    bench = Bench(options.out / "faces", METRICS)
    for (aim, strength), cell in cells.items():
        bench.edit(cell, autoencoder, directions, Aim(aim, aim), strength)
    return cells


def measure_people(cells: dict[tuple[str, float], Path], truth: ShapeTruth, faces: Path) -> None:
    """Measure each edited person; finished cells are kept."""
    for (aim, _), cell in cells.items():
        if not (cell / PEOPLE_TABLE).exists():
            write_measures(cell / PEOPLE_TABLE, truth.measure(cell / "edits", faces / "neutral", faces / aim))


def judge(cells: dict[tuple[str, float], Path], variant: str, seed: int, out: Path) -> list[Run]:
    """Evaluate the edits of some cells, or read the records of finished cells."""
    bench = Bench(out / "faces", METRICS, out / "album")
    return [
        bench.evaluate(cell, {"variant": variant, "seed": str(seed), "aim": aim, "strength": str(strength)})
        for (aim, strength), cell in cells.items()
    ]


def place_of(out: Path, variant: str, seed: int) -> Path:
    """Return the folder of a variant's model and edits."""
    return out / "variants" / f"{variant.replace(' + ', '-').replace(' ', '')}-{seed}"


def content(variant: str, seed: int, recogniser: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of one fine-tuning run, without the settings of a preset."""
    loss: dict[str, Any] = {"simple": 1.0, **VARIANTS[variant].weights}
    if "triplet" in loss:
        positive, _, negative = options.triplet.partition("-")
        loss["triplet"] = {"weight": loss["triplet"], "positive": positive, "negative": negative}
    if "identity" in loss or "triplet" in loss:
        loss["recogniser"] = str(recogniser)
    config = open_autoencoder(options.checkpoint).config
    return {
        "model": config.model_dump(mode="json"),
        "weighting": "v" if getattr(config, "prediction_type", "eps") == "v" else "simple",
        "init_from": str(options.checkpoint), "loss": loss,
        "freeze_encoder": options.freeze_encoder, "seed": seed,
        "data": {"kind": "folder", "path": str(options.out / "album")}, "prior_data": prior_people(options),
        "steps": options.steps, "batch_size": options.batch, "prior_images": options.prior_images, "ema_decay": None,
        "optimizer": {"kind": "adam", "learning_rate": options.learning_rate, "warmup": 10, "decay": "cosine"},
        "workers": 0, "checkpoint_every": options.steps, "sample_every": options.steps, "preview_images": 4,
    }  # fmt: skip


def prior_people(options: argparse.Namespace) -> dict[str, Any]:
    """Return other people, whose codes the prior faces have."""
    return {
        "kind": "synthface", "identities": options.prior_images, "images": 1, "seed": 1, "start": 5000,
        "render": RENDERED, "align": True,
    }  # fmt: skip


def train(kind: str, chosen: dict[str, Any], out: Path) -> None:
    """Train a model unless it exists; a stopped run is resumed."""
    if not (out / "model.safetensors").exists():
        prepared = registry.prepare(kind, chosen, kind)
        loop.fit(prepared.task, prepared.settings, out, device="cpu")


def find_directions(folder: Path, network: DiffusionAutoencoder, people: int) -> Directions:
    """Fit directions for the codes of this encoder on other people, and store them as a file."""
    if not (folder / "directions.safetensors").exists():
        z_sem, labels = codes_of_strangers(network, people)
        files.write(folder / "directions.safetensors", fit("mean", z_sem, labels), {"method": "mean"})
    return files.read(folder)


def table(runs: Sequence[Run], variants: Sequence[str], seeds: int) -> str:
    """Format the mean of each metric over seeds and edits, its interval over seeds, and the effect of each loss."""
    lines = ["| losses | " + " | ".join(name.rsplit("_", 1)[0] for name in METRICS) + " |"]
    lines.append("|" + "---|" * (len(METRICS) + 1))
    for variant in (START, *variants):
        cells = [_with_interval(_by_seed(runs, variant, name)) for name in METRICS]
        lines.append(f"| {variant} | " + " | ".join(cells) + " |")
    if seeds > 1:
        for variant, made in added(variants):
            cells = []
            for name in METRICS:
                both = zip(_by_seed(runs, variant, name), _by_seed(runs, made.added_to, name), strict=True)
                cells.append(_with_interval([a - b for a, b in both], sign="+"))
            lines.append(f"| {variant} − ({made.added_to}) | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def people_table(options: argparse.Namespace, truth: ShapeTruth) -> str:
    """Format the measures of people: means and paired differences, with intervals for new people and new seeds."""
    error, baseline = truth.probe_error
    lines = [
        f"Probe: RMS error of β {error:.3f} on new people, {baseline:.3f} with the mean β.\n",
        "| losses | seeds | " + " | ".join(MEASURES) + " |",
        "|" + "---|" * (len(MEASURES) + 2),
    ]
    rendered = truth_measures(options.out, truth)
    lines.append("| rendered truth | – | " + " | ".join(f"{rendered[name]:.3f}" for name in MEASURES) + " |")
    read = functools.partial(people_by_seed, options)
    start = {name: read(START, name) for name in MEASURES}
    lines.append(f"| {START} | – | " + " | ".join(f"{np.mean(start[name]):.3f}" for name in MEASURES) + " |")
    for variant in options.variants:
        lines.append(_people_row(variant, [read(variant, name) for name in MEASURES]))
    for variant, made in added(options.variants):
        differences = [_differences(read(variant, name), read(made.added_to, name)) for name in MEASURES]
        lines.append(_people_row(f"{variant} − ({made.added_to})", differences, "+"))
    return "\n".join(lines)


def _people_row(name: str, tables: Sequence[NDArray[np.float64]], sign: str = "") -> str:
    cells = [_interval(_mean(table), sign) for table in tables]
    return f"| {name} | {tables[0].shape[1]} | " + " | ".join(cells) + " |"


def _differences(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the differences of the seeds that both tables have."""
    seeds = min(a.shape[1], b.shape[1])
    return a[:, :seeds] - b[:, :seeds]


def added(variants: Sequence[str]) -> list[tuple[str, Variant]]:
    """List the variants that add a loss to another one of these variants."""
    return [(name, VARIANTS[name]) for name in variants if VARIANTS[name].added_to in variants]


def people_by_seed(options: argparse.Namespace, variant: str, name: str) -> NDArray[np.float64]:
    """Return a measure at the largest strength as (people, measured seeds), mean over the aims."""
    columns = []
    for seed in range(1 if variant == START else options.seeds):
        place = place_of(options.out, variant, seed)
        files = [place / f"{aim}-{max(options.strengths)}" / PEOPLE_TABLE for aim in AIMS]
        if not all(file.is_file() for file in files):
            break
        tables = [read_measures(file) for file in files]
        columns.append(np.mean([getattr(measures, name) for measures in tables], axis=0))
    return np.stack(columns, axis=1)


def truth_measures(out: Path, truth: ShapeTruth) -> dict[str, float]:
    """Return the measures of the rendered truth in place of edits."""
    faces = out / "faces"
    measured = [truth.measure(faces / aim, faces / "neutral", faces / aim) for aim in AIMS]
    return {name: float(np.mean([getattr(measures, name) for measures in measured])) for name in MEASURES}


def draw_people(options: argparse.Namespace, path: Path) -> None:
    """Draw one panel for each measure: the mean of every variant, with its interval for new people and seeds."""
    figure, axes = plt.subplots(1, len(MEASURES), figsize=(14, 4), layout="constrained", sharey=True)
    variants = options.variants
    for axis, name in zip(axes, MEASURES, strict=True):
        for row, variant in enumerate((START, *variants)):
            mean = _mean(people_by_seed(options, variant, name))
            axis.plot([mean.value], [row], "o", color=f"C{row}")
            if mean.low is not None and mean.high is not None:
                axis.plot([mean.low, mean.high], [row, row], color=f"C{row}")
        axis.set_yticks(range(len(variants) + 1), (START, *variants))
        axis.set_title(f"{name} {'↑' if name == 'cosine' else '↓'}", fontsize=9)
    axes[0].invert_yaxis()
    figure.savefig(path, dpi=110)


def draw(runs: Sequence[Run], variants: Sequence[str], path: Path) -> None:
    """Draw one panel for each metric: a dot for each seed, a line for the mean."""
    figure, axes = plt.subplots(2, 4, figsize=(13, 5.5), layout="constrained")
    for axis, name in zip(axes.flat, METRICS, strict=True):
        for row, variant in enumerate((START, *variants)):
            values = _by_seed(runs, variant, name)
            axis.plot(values, [row] * len(values), "o", color=f"C{row}", markersize=4)
            axis.plot([statistics.fmean(values)] * 2, [row - 0.3, row + 0.3], color=f"C{row}")
        axis.set_yticks(range(len(variants) + 1), (START, *variants) if axis in axes[:, 0] else [])
        axis.invert_yaxis()
        arrow = {"higher": "↑", "lower": "↓", "neither": ""}[runs[0].metrics[name].better]
        axis.set_title(f"{name} {arrow}", fontsize=9)
    figure.savefig(path, dpi=110)


def draw_trade_off(runs: Sequence[Run], variants: Sequence[str], path: Path) -> None:
    """Draw cosine to the source against valence error: one line for each variant, one dot for each strength."""
    figure, axis = plt.subplots(figsize=(7.5, 5), layout="constrained")
    strengths = sorted({run.tags["strength"] for run in runs}, key=float)
    for number, variant in enumerate((START, *variants)):
        points = []
        for strength in strengths:
            own = [run for run in runs if run.tags["strength"] == strength]
            pair = ("valence_error_reader", "identity_similarity_faceapi")
            points.append([statistics.fmean(_by_seed(own, variant, name)) for name in pair])
        sizes = [20.0 + 30.0 * place for place in range(len(points))]
        errors, similarities = zip(*points, strict=True)
        axis.plot(errors, similarities, color=f"C{number}", label=variant)
        axis.scatter(errors, similarities, sizes, color=f"C{number}")
    axis.set_xlabel("valence error ↓")
    axis.set_ylabel("cosine to the source ↑")
    axis.set_title(f"strengths {', '.join(strengths)}: larger dots for larger strengths", fontsize=9)
    axis.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def pictures(
    out: Path, variants: Sequence[str], people: int = 8, side: int = 96, margin: int = 190
) -> Image.Image:
    """Draw rows of faces: sources, the rendered truth, and the happy edits of every variant with seed 0."""
    rows = {"neutral": out / "faces" / "neutral", "rendered truth": out / "faces" / "happy"}
    for variant in (START, *variants):
        strongest = max(place_of(out, variant, 0).glob("happy-*"), key=lambda cell: float(cell.name[6:]))
        rows[variant] = next((strongest / "edits" / "images").iterdir())
    sheet = Image.new("RGB", (margin + people * side, len(rows) * side), "white")
    pen = ImageDraw.Draw(sheet)
    for row, (name, folder) in enumerate(rows.items()):
        pen.text((6, row * side + side // 2 - 6), name, fill="black")
        for column, path in enumerate(sorted((folder / "images").glob("*.png"))[:people]):
            with Image.open(path) as face:
                shown = face.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
            sheet.paste(shown, (margin + column * side, row * side))
    return sheet


def _by_seed(runs: Sequence[Run], variant: str, metric: str) -> list[float]:
    """Return the mean over the edits for each seed."""
    own = [run for run in runs if run.tags["variant"] == variant]
    means = []
    for seed in sorted({run.tags["seed"] for run in own}):
        values = [run.metrics[metric].value for run in own if run.tags["seed"] == seed]
        known = [value for value in values if value is not None]
        means.append(statistics.fmean(known) if known else math.nan)
    return means


def _with_interval(values: Sequence[float], sign: str = "") -> str:
    mean = statistics.fmean(values)
    if math.isnan(mean):
        return "–"
    if len(values) < 2:
        return f"{mean:{sign}.3f}"
    half = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:{sign}.3f} [{mean - half:{sign}.3f}, {mean + half:{sign}.3f}]"


def _mean(table: NDArray[np.float64]) -> Mean:
    return Mean(math.nan) if np.isnan(table).all() else crossed_mean(table)


def _interval(mean: Mean, sign: str = "") -> str:
    if math.isnan(mean.value):
        return "–"
    if mean.low is None or mean.high is None:
        return f"{mean.value:{sign}.3f}"
    return f"{mean.value:{sign}.3f} [{mean.low:{sign}.3f}, {mean.high:{sign}.3f}]"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/study-identity-losses"))
    parser.add_argument("--checkpoint", type=Path, default=Path("diffae-64-synthface"))
    parser.add_argument("--recogniser", type=Path, help="recogniser of the losses; trained first by default")
    parser.add_argument(
        "--triplet", choices=FORMS, default=FORMS[0], help="positive and negative of the triplet loss"
    )
    parser.add_argument(
        "--people-only", action="store_true", help="measure edited people only, without run records"
    )
    parser.add_argument(
        "--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="sums of losses to compare"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--people", type=int, default=24)
    parser.add_argument(
        "--training-people", type=int, default=150, help="number of people for fitting directions"
    )
    parser.add_argument("--probe-people", type=int, default=2500, help="number of people of the probe of β")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--freeze-encoder", action="store_true", help="train only the U-Net")
    parser.add_argument("--prior-images", type=int, default=64)
    parser.add_argument("--strengths", type=float, nargs="+", default=[0.6, 1.2])
    parser.add_argument("--render-steps", type=int, default=10, help="DDIM steps of encoding and of decoding")
    return parser.parse_args()


if __name__ == "__main__":
    main()
