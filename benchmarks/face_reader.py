"""Accuracy of FaceReader on synthetic people outside its training data, and on photographs with labels.

    python benchmarks/face_reader.py [--people 150] [--photographs FOLDER]

Photographs need a manifest with the columns `identity` and `expression`. They are outside the training domain.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from facebench import backbones
from facebench.features.extraction import extract
from facebench.images.image_set import ImageSet
from facebench.metrics import affect_agreement, verification
from facebench.synthface.shape import ShapeBasis
from facebench.training.data.sources import SynthfaceData
from facebench.training.engine.settings import check
from facebench.training.presets import read
from facebench.training.tasks.face_reader import BASIS_PEOPLE, FaceReaderSettings, ReaderFaces

HAPPY = {"happy", "happiness"}
NEUTRAL = {"neutral"}


def synthetic(people: int, console: Console) -> None:
    reader = backbones.build("facereader")
    settings = check(FaceReaderSettings, without_kind(read("face-reader-synthface")), "face-reader-synthface")
    data = SynthfaceData(**{**settings.held_out.model_dump(), "identities": people})
    faces = ReaderFaces(data, ShapeBasis.of(BASIS_PEOPLE, 30))
    kept, crops = [], []
    for index in range(len(faces)):
        try:
            crops.append(faces.read(index).image)
        except Exception as error:  # undetected faces are counted below
            console.print(f"skipped: {error}")
            continue
        kept.append(index)
    read_off = reader.embed(torch.stack([reader.preprocess(crop) for crop in crops]))
    truth = {name: values[kept] for name, values in faces.truth.items()}
    table = Table(
        "output",
        "value",
        title=f"{len(kept)} of {len(faces)} faces of {people} people outside the training data",
    )
    hits = read_off["expression"].argmax(axis=1) == truth["expression"]
    table.add_row("expression, accuracy (8 classes)", f"{hits.mean():.3f}")
    full = faces.people.faces.all_parameters().intensity[kept] > 0.5
    table.add_row("the same for intensities above one half", f"{hits[full].mean():.3f}")
    for name in ("valence", "arousal"):
        agreement = affect_agreement(truth[name][:, 0], read_off[name])
        table.add_row(f"{name}: CCC", f"{agreement.ccc:.3f}")
        table.add_row(f"{name}: mean absolute error", f"{agreement.mae:.3f}")
    for name, symbol in (("exp", "ψ"), ("shape", "β")):
        table.add_row(
            f"{symbol}: mean cosine to the truth", f"{cosines(read_off[name], truth[name]).mean():.3f}"
        )
    error = np.abs(read_off["pose"] - truth["pose"] * 15).mean(axis=0)
    table.add_row("yaw, pitch, roll: mean absolute error, degrees", " ".join(f"{each:.1f}" for each in error))
    outcome = by_identity(read_off["shape"], truth["identity"])
    table.add_row("β: equal error rate of identity verification across expressions", f"{outcome.eer:.3f}")
    table.add_row(
        "ψ: the same (0.5: no information on identity)",
        f"{by_identity(read_off['exp'], truth['identity']).eer:.3f}",
    )
    console.print(table)


def photographs(folder: Path, console: Console) -> None:
    images = ImageSet.open(folder)
    extraction = extract(images, [backbones.build("facereader")], store=None)
    arrays, valid = extraction.arrays["facereader"], extraction.valid["facereader"]
    labels = np.array([item.columns.get("expression", "") for item in extraction.items])
    people = np.array([item.columns.get("identity", "") for item in extraction.items])
    happy, neutral = (valid & np.isin(labels, list(words)) for words in (HAPPY, NEUTRAL))
    table = Table("output", "value", title=f"{int(valid.sum())} photographs, outside the training domain")
    for name in ("valence", "arousal"):
        values = arrays[name]
        table.add_row(
            f"{name}: mean of neutral / happy", f"{values[neutral].mean():.2f} / {values[happy].mean():.2f}"
        )
    separated = verification(arrays["valence"][happy], arrays["valence"][neutral])
    table.add_row("valence: area under the ROC curve, happy against neutral", f"{separated.auc:.3f}")
    _, numbers = np.unique(people[valid], return_inverse=True)
    table.add_row(
        "β: equal error rate of identity verification",
        f"{by_identity(arrays['shape'][valid], numbers).eer:.3f}",
    )
    console.print(table)


def by_identity(codes: NDArray[np.float32], identity: NDArray[np.int64]):  # type: ignore[no-untyped-def]
    unit = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    left, right = np.triu_indices(len(unit), 1)
    same = identity[left] == identity[right]
    scores = (unit @ unit.T)[left, right]
    return verification(scores[same], scores[~same])


def cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray((a * b).sum(axis=1)[lengths > 0] / lengths[lengths > 0])


def without_kind(content: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in content.items() if name != "train"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=150)
    parser.add_argument("--photographs", type=Path, help="folder with a manifest of photographs")
    given = parser.parse_args()
    console = Console(width=100)
    synthetic(given.people, console)
    if given.photographs is not None:
        photographs(given.photographs, console)


if __name__ == "__main__":
    main()
