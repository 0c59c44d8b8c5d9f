"""Compare scores of face quality by their response to damage: a table, and the curves of the score in use.

    python benchmarks/face_quality.py --figure docs/face-quality.png

Synthetic faces are damaged by known amounts, detected and aligned again (with the landmarks of the undamaged face if
there is no detection), and scored by every candidate. SFace runs about twenty times on every crop, which takes five to
fifteen minutes on two cores.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import spearmanr
from torch import Tensor
from torchvision.transforms import functional

from facebench.backbones.face_detection import FaceFinder, align
from facebench.backbones.sface import to_input
from facebench.backbones.sface_network import read_network
from facebench.backbones.sface_quality import perturbed, saturate
from facebench.backbones.weights import resolve
from facebench.images.image_set import ImageSet, decode, read
from facebench.synthface import write
from facebench.synthface.degradations import ON_IMAGES

STRENGTHS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
KEPT = "mean of five"
HEAD = -2
"""Index of the last linear layer; its input is flat."""
Array = np.ndarray


def sharpened(batch: Tensor) -> Tensor:
    return (2 * batch - functional.gaussian_blur(batch, [9, 9], [1.5, 1.5])).clamp(0, 255)


# Groups of perturbed copies of aligned crops (n, 3, 112, 112).
GROUPS: dict[str, Callable[[Tensor], list[Tensor]]] = {
    "mirror": lambda crops: [crops.flip(3)],
    "turn": lambda crops: [perturbed(crops)[1]],
    "cover": lambda crops: [perturbed(crops)[2]],
    "noise": lambda crops: [perturbed(crops)[3]],
    "shift": lambda crops: [crops.roll(3, 3), crops.roll(-3, 3)],
    "blur": lambda crops: [functional.gaussian_blur(crops, [7, 7], [1.0, 1.0])],
    "sharpen": lambda crops: [sharpened(crops)],
}


class Networks:
    """SFace, divided before its last layer for the dropout of SER-FIQ."""

    def __init__(self) -> None:
        network = read_network(resolve("sface").path).eval()
        self.body, self.head = network[:HEAD], network[HEAD:]

    @torch.inference_mode()
    def embed(self, crops: Tensor) -> tuple[Array, Array]:
        """Return raw embeddings, and the input of the last layer."""
        flat = self.body(crops)
        return self.head(flat).numpy().astype(np.float64), flat.numpy()

    @torch.inference_mode()
    def dropout_distance(self, flat: Array, passes: int = 40) -> Array:
        """Return the mean distance between unit embeddings (n,) with dropout of half the inputs of the last layer."""
        masks = np.random.default_rng(0).random((passes, 1, flat.shape[1])) < 0.5
        vectors = np.stack(
            [self.head(torch.from_numpy(np.where(mask, 2 * flat, 0))).numpy() for mask in masks]
        )
        units = vectors / np.linalg.norm(vectors, axis=2, keepdims=True)
        distances = np.linalg.norm(units[:, None] - units[None], axis=3)
        return distances.sum(axis=(0, 1)) / (passes * (passes - 1))


def candidates(networks: Networks, crops: Tensor) -> dict[str, Array]:
    """Compute every score for crops (n, 3, 112, 112)."""
    raw, flat = networks.embed(crops)
    copies = {name: [networks.embed(copy)[0] for copy in make(crops)] for name, make in GROUPS.items()}
    length = np.linalg.norm(raw, axis=1)

    def stability(*groups: str) -> Array:
        others = [copy for group in groups for copy in copies[group]]
        return np.mean([(raw * o).sum(1) / length / np.linalg.norm(o, axis=1) for o in others], axis=0)

    def mean_length(*groups: str) -> Array:
        return np.linalg.norm(np.mean([raw, *(copy for g in groups for copy in copies[g])], axis=0), axis=1)

    return {
        KEPT: saturate(mean_length("mirror", "turn", "cover", "noise")),
        "mean with mirrored image": mean_length("mirror"),
        "mean of all copies": mean_length(*GROUPS),
        "norm of the embedding": length,
        "dropout (SER-FIQ)": 2 / (1 + np.exp(networks.dropout_distance(flat))),
        "stability, all copies": stability(*GROUPS),
        **{f"stability, {group}": stability(group) for group in GROUPS},
    }


def damaged_crops(folder: Path, kind: str, strength: float) -> Tensor:
    finder, crops = FaceFinder(), []
    for number, item in enumerate(ImageSet.open(folder).items):
        image = decode(read(item))
        damaged = ON_IMAGES[kind](image, strength, number)
        face = finder.find(damaged) or finder.find(image)
        if face is None:
            raise SystemExit(f"No face is detected in {item.name}. Use another seed.")
        crops.append(to_input(align(damaged, face.landmarks)))
    return torch.stack(crops)


def faithfulness(scores: Array) -> tuple[float, bool]:
    """Compute from scores (strengths, faces) the mean Spearman correlation with lower damage, and monotonicity."""
    each = [spearmanr(scores[:, face], -np.array(STRENGTHS)).statistic for face in range(scores.shape[1])]
    return float(np.mean(each)), bool((np.diff(scores.mean(axis=1)) < 0).all())


def show(results: dict[str, dict[str, Array]]) -> None:
    table = Table("score", *(f"{kind}" for kind in ON_IMAGES), "mean", "monotonic", box=None)
    rows = {name: [faithfulness(results[kind][name]) for kind in ON_IMAGES] for name in results["blur"]}
    for name, row in sorted(rows.items(), key=lambda entry: -sum(value for value, _ in entry[1])):
        values = [value for value, _ in row]
        falls = sum(falling for _, falling in row)
        table.add_row(name, *(f"{v:.2f}" for v in values), f"{np.mean(values):.3f}", f"{falls} of {len(row)}")
    Console(width=120).print(table)


def draw(results: dict[str, dict[str, Array]], path: Path) -> None:
    figure, panels = plt.subplots(1, len(results), figsize=(11, 2.9), sharey=True, layout="constrained")
    for panel, (kind, scores) in zip(panels, results.items(), strict=True):
        low, mean, high = (f(scores[KEPT], axis=1) for f in (_tenth, np.mean, _ninetieth))
        panel.fill_between(STRENGTHS, low, high, alpha=0.2, linewidth=0)
        panel.plot(STRENGTHS, mean, marker="o")
        panel.set(title=kind, xlabel="strength", ylim=(0, 1))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("quality (sface-quality)")
    figure.savefig(path, dpi=110)


def _tenth(values: Array, axis: int) -> Array:
    return np.quantile(values, 0.1, axis=axis)


def _ninetieth(values: Array, axis: int) -> Array:
    return np.quantile(values, 0.9, axis=axis)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    networks = Networks()
    results: dict[str, dict[str, Array]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "set"
        write(folder, identities=arguments.faces, images=1, size=160, seed=arguments.seed)
        untouched = candidates(networks, damaged_crops(folder, "blur", 0.0))
        for kind in track(ON_IMAGES, console=Console(stderr=True)):
            scored = [candidates(networks, damaged_crops(folder, kind, s)) for s in STRENGTHS[1:]]
            results[kind] = {
                name: np.stack([untouched[name], *(s[name] for s in scored)]) for name in untouched
            }
    show(results)
    if arguments.figure:
        draw(results, arguments.figure)


if __name__ == "__main__":
    main()
