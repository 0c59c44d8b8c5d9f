"""Compare methods for directions in z_sem by change of expression and loss of identity.

The directions of every method edit the same neutral faces of people outside the training data. Their happy and angry
counterparts are rendered as ground truth. Run it with `make study-directions`; a stopped study continues.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from study import Aim, Bench, Once, codes_of_strangers, shown, write_rows, write_truth

from facebench.evaluation.record import Run
from facebench.training.editing import directions as files
from facebench.training.editing.autoencoder import Steps
from facebench.training.editing.directions import METHODS, Directions
from facebench.training.editing.edit_images import read_sources
from facebench.training.editing.fit_directions import Labels, fit
from facebench.training.models import DiffusionAutoencoder
from facebench.training.models.load import open_autoencoder

CHANGE = {"happy": "valence_change_reader", "angry": "arousal_change_reader"}
"""Metric that increases when the edit works, by expression."""
METRICS = (
    "valence_change_reader", "arousal_change_reader", "valence_error_reader", "arousal_error_reader",
    "expression_agreement_reader", "identity_similarity_sface", "shape_distance_reader", "face_quality_change_sface",
)  # fmt: skip
SHOWN = ("expression_agreement_reader", "valence_error_reader", "arousal_error_reader", "identity_similarity_sface",
         "shape_distance_reader")  # fmt: skip
STRANGERS = 2


def main() -> None:
    options = _options()
    out: Path = options.out
    network = open_autoencoder(options.checkpoint)
    write_truth(
        out / "faces", list(CHANGE), options.people, seed=STRANGERS, image=0, size=network.config.size
    )
    found = find_directions(out / "directions", network, options)
    sources = read_sources(out / "faces" / "neutral", network.config.size)
    autoencoder = Once(network, Steps(options.steps, options.steps), sources)
    bench = Bench(out / "faces", METRICS)
    runs = []
    for name, directions in found.items():
        for aim in aims(directions):
            for strength in options.strengths:
                cell = out / "cells" / f"{name}-{aim.expression}-{strength:g}"
                tags = {"directions": name, "aim": aim.expression, "strength": f"{strength:g}"}
                print(cell.name, flush=True)
                runs.append(bench.judge(cell, autoencoder, directions, aim, strength, tags))
    write_rows(out / "results.csv", runs)
    draw(runs, out / "trade-off.png")
    print(table(runs))


def find_directions(
    folder: Path, network: DiffusionAutoencoder, options: argparse.Namespace
) -> dict[str, Directions]:
    """Fit directions by every method, with and without `avoid`, and store them as files."""
    wanted = {
        f"{method}-avoid-{n}" if n else method: (method, n) for method in METHODS for n in (0, options.avoid)
    }
    missing = [name for name in wanted if not (folder / name / "directions.safetensors").exists()]
    if missing:
        z_sem, labels = codes_of_strangers(network, options.training_people)
        # Fit only the edited classes; the official classifier has an independent logit for each class.
        labels = Labels(
            {name: labels.classes[name] for name in CHANGE}, labels.affect, labels.identity, labels.nuisance
        )
        for name in missing:
            method, avoid = wanted[name]
            print(f"directions: {name}", flush=True)
            path = folder / name / "directions.safetensors"
            files.write(path, fit(method, z_sem, labels, avoid=avoid), {"method": method, "avoid": avoid})
    return {name: files.read(folder / name) for name in wanted}


def aims(directions: Directions) -> list[Aim]:
    """Return the goals of a set of directions: the expression, or its valence for regression."""
    if "happy" in directions.attributes:
        return [Aim(name, name) for name in CHANGE]
    return [Aim("happy", "valence"), Aim("angry", "valence", -1)]


def table(runs: list[Run]) -> str:
    """Format all cells as Markdown."""
    head = ["directions", "edit towards", "strength", "change", *(name.rsplit("_", 1)[0] for name in SHOWN)]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for run in runs:
        tags = run.tags
        cells = [tags["directions"], tags["aim"], tags["strength"], shown(run, CHANGE[tags["aim"]])]
        lines.append("| " + " | ".join([*cells, *(shown(run, name) for name in SHOWN)]) + " |")
    return "\n".join(lines)


def draw(runs: list[Run], path: Path) -> None:
    """Draw identity against the change of affect; upper right is better."""
    figure, axes = plt.subplots(1, len(CHANGE), figsize=(11, 4.5), layout="constrained", sharey=True)
    for axis, (aim, change) in zip(axes, CHANGE.items(), strict=True):
        names = list(dict.fromkeys(run.tags["directions"] for run in runs))
        for name in names:
            own = [run for run in runs if run.tags["directions"] == name and run.tags["aim"] == aim]
            method = name.split("-")[0]
            axis.plot(
                [run.metrics[change].value for run in own],
                [run.metrics["identity_similarity_sface"].value for run in own],
                "o--" if "avoid" in name else "o-",
                color=f"C{METHODS.index(method)}",
                markersize=4,
                label=name,
            )
        axis.set(title=f"edits towards {aim}", xlabel=f"change of {change.split('_')[0]} (FaceReader)")
    axes[0].set_ylabel("cosine to the source (SFace)")
    axes[0].legend(fontsize=7)
    figure.savefig(path, dpi=110)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/study-directions"))
    parser.add_argument("--checkpoint", type=Path, default=Path("diffae-64-synthface"))
    parser.add_argument("--people", type=int, default=64, help="number of people that are edited")
    parser.add_argument(
        "--training-people",
        type=int,
        default=400,
        help="number of people, with 12 faces each, for fitting directions",
    )
    parser.add_argument("--avoid", type=int, default=16)
    parser.add_argument("--strengths", type=float, nargs="+", default=[0.4, 0.8, 1.2])
    parser.add_argument("--steps", type=int, default=20, help="DDIM steps of encoding and of decoding")
    return parser.parse_args()


if __name__ == "__main__":
    main()
