"""The renderer's β of the people of a study, and measures of each edited person against it.

β is measured by two networks: FaceReader, which the shape loss may use, and a linear probe of features that no loss
uses. The probe is a ridge regression on rendered people of another seed; its error on new people is reported.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from facebench import backbones
from facebench.backbones.base import Backbone
from facebench.backbones.face_alignment import TEMPLATE, Face, crop
from facebench.backbones.face_detection import FaceFinder
from facebench.synthface import FaceModel
from facebench.synthface.shape import ShapeBasis
from facebench.training.data.loading import try_read
from facebench.training.data.pairs import geometry_of
from facebench.training.data.sources import SynthfaceData, open_faces
from facebench.training.editing.edit_images import read_sources
from facebench.training.tasks.face_reader import BASIS_PEOPLE

Floats = NDArray[np.float64]
Images = NDArray[np.uint8]

READER, JUDGE = "facereader", "faceapi-recognition"
PROBED = {JUDGE: "embedding", "sface": "embedding"}
"""Networks and arrays of the probe; none of them is in a loss.

Embeddings have length 1. Features of ImageNet networks were tried: they react to artefacts of generated faces, and the
error of the probe on unedited generated faces then exceeded that of the mean β.
"""
COMPONENTS = 30
HELD_OUT = 0.2
"""Share of the probe's people that measures its error; each has one image."""
BATCH = 32
PENALTIES = np.logspace(0, 5, 11)


@dataclass(frozen=True)
class PersonMeasures:
    """Measures of one edited image of each person, (n,) each; NaN where no face was found.

    Attributes:
        cosine: cosine of face-api's embeddings of edit and source.
        beta_reader: RMS difference between FaceReader's β of the edit and the renderer's β, in standard deviations.
        beta_probe: the same by the probe.
        valence: |valence of the edit − valence of the rendered truth|, by FaceReader.
    """

    cosine: Floats
    beta_reader: Floats
    beta_probe: Floats
    valence: Floats


class ShapeTruth:
    """Renderer's β of the people that `study.write_truth` renders, and the probe; both are kept in files.

    Args:
        folder: folder of these files.
        people: number of people.
        seed: seed of the people.
        image: number of the image of each person.
        size: pixels per side of the aligned faces.
        strangers: number of other people from which the probe learns.
    """

    def __init__(
        self, folder: Path, people: int, *, seed: int, image: int, size: int, strangers: int = 2500
    ) -> None:
        self.folder, self.people, self.seed, self.image, self.size = folder, people, seed, image, size
        self.strangers = strangers
        self._cache: dict[Path, dict[str, Floats]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def measure(self, edits: Path, sources: Path, targets: Path) -> PersonMeasures:
        """Compare edits with their sources, their rendered truth and the renderer's β; folders of idNNN.png."""
        edit, source, target = self._features(edits), self._known(sources), self._known(targets)
        cosine = (edit[JUDGE] * source[JUDGE]).sum(axis=1)
        return PersonMeasures(
            cosine,
            _rms(edit["shape"] - self.beta),
            _rms(self._probed(edit) - self.beta),
            np.abs(edit["valence"] - target["valence"]),
        )

    @cached_property
    def beta(self) -> Floats:
        """Renderer's β, (people, 30) in standard deviations."""
        file = self.folder / "beta.npy"
        if not file.exists():
            images = self.image + 1
            drawn = FaceModel().sample(
                self.people * images, self.seed, images=images, expressions=("neutral",)
            )
            np.save(file, self._basis.code(drawn.take(slice(self.image, None, images))))
        return np.load(file).astype(np.float64)

    @cached_property
    def probe_error(self) -> tuple[float, float]:
        """RMS error of the probe on new people, and that of the mean β."""
        saved = self._probe
        return float(saved["error"]), float(saved["baseline"])

    def _probed(self, features: dict[str, Floats]) -> Floats:
        saved = self._probe
        return (_joined(features) - saved["mean"]) / saved["std"] @ saved["weights"] + saved["offset"]

    @cached_property
    def _probe(self) -> dict[str, Floats]:
        file = self.folder / "probe.npz"
        if not file.exists():
            np.savez(file, **self._fitted())
        with np.load(file) as content:
            return dict(content)

    def _fitted(self) -> dict[str, Floats]:
        x, y = self._strangers()
        mean, std = x.mean(axis=0), x.std(axis=0) + 1e-6
        x = (x - mean) / std
        fitting = np.arange(len(x)) < len(x) * (1 - HELD_OUT)
        fits = _ridge(x[fitting], y[fitting], PENALTIES)
        errors = [
            float(_rms(x[~fitting] @ weights + offset - y[~fitting]).mean()) for weights, offset in fits
        ]
        ((weights, offset),) = _ridge(x, y, PENALTIES[[int(np.argmin(errors))]])
        baseline = float(_rms(y[~fitting] - y[fitting].mean(axis=0)).mean())
        return {
            "mean": mean, "std": std, "weights": weights, "offset": offset,
            "error": np.array(min(errors)), "baseline": np.array(baseline),
        }  # fmt: skip

    def _strangers(self) -> tuple[Floats, Floats]:
        """Return features and β of other people, one image each; images without a face are left out."""
        data = SynthfaceData(
            kind="synthface", identities=self.strangers, images=1, seed=1, render=128, align=True
        )
        faces = open_faces(data, self.size)
        beta = self._basis.code(faces.all_parameters()).astype(np.float64)  # type: ignore[attr-defined]
        reads = [try_read(faces, index, index) for index in range(len(faces))]
        found = [(row, face.image) for row, face, _ in reads if face is not None]
        x = _joined(self._features_of(np.stack([image for _, image in found])))
        y = beta[[row for row, _ in found]]
        known = ~np.isnan(x).any(axis=1)
        return x[known], y[known]

    def _known(self, folder: Path) -> dict[str, Floats]:
        """Return the features of a folder that several edits are compared with."""
        if folder not in self._cache:
            self._cache[folder] = self._features(folder)
        return self._cache[folder]

    def _features(self, folder: Path) -> dict[str, Floats]:
        return self._features_of(read_sources(folder, self.size).images)

    def _features_of(self, images: Images) -> dict[str, Floats]:
        """Run all networks on aligned faces; rows without a face are NaN."""
        faces = [_face(image, self._finder) for image in images]
        features = {name: self._embedded(name, array, images, faces) for name, array in PROBED.items()}
        for array in ("shape", "valence"):
            features[array] = self._embedded(READER, array, images, faces)
        return features

    def _embedded(self, name: str, array: str, images: Images, faces: Sequence[Face | None]) -> Floats:
        backbone = self._networks[name]
        parts = []
        for start in range(0, len(images), BATCH):
            pairs = zip(images[start : start + BATCH], faces[start : start + BATCH], strict=True)
            crops = [crop(backbone.crop, image, face or _any_face(self.size)) for image, face in pairs]
            batch = torch.stack([backbone.preprocess(image) for image in crops])
            parts.append(backbone.embed(batch)[array])
        values = np.concatenate(parts).astype(np.float64)
        values[[face is None for face in faces]] = np.nan
        return values

    @cached_property
    def _basis(self) -> ShapeBasis:
        return ShapeBasis.of(BASIS_PEOPLE, COMPONENTS)

    @cached_property
    def _networks(self) -> dict[str, Backbone]:
        return {name: backbones.build(name) for name in (*PROBED, READER)}

    @cached_property
    def _finder(self) -> FaceFinder:
        return FaceFinder()


def write_measures(path: Path, measures: PersonMeasures) -> None:
    """Write one row per person."""
    names = list(PersonMeasures.__dataclass_fields__)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(names)
        table.writerows(zip(*(getattr(measures, name) for name in names), strict=True))


def read_measures(path: Path) -> PersonMeasures:
    """Read a file of `write_measures`."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = PersonMeasures.__dataclass_fields__
    return PersonMeasures(**{name: np.array([float(row[name]) for row in rows]) for name in names})


def _face(image: Images, finder: FaceFinder) -> Face | None:
    landmarks, box = geometry_of(image, finder)
    if np.isnan(landmarks).any():
        return None
    x, y, width, height = box.tolist()
    return Face((x, y, width, height), landmarks, 1.0)


def _any_face(size: int) -> Face:
    """Return a face in the middle of an aligned image, in place of one that was not found."""
    return Face((0.0, 0.0, float(size), float(size)), (TEMPLATE * size / 112).astype(np.float32), 0.0)


def _joined(features: dict[str, Floats]) -> Floats:
    return np.concatenate([features[name] for name in PROBED], axis=1)


def _rms(difference: Floats) -> Floats:
    return np.asarray(np.sqrt((difference**2).mean(axis=1)), np.float64)


def _ridge(x: Floats, y: Floats, penalties: Floats) -> list[tuple[Floats, Floats]]:
    """Return the weights (features, components) and the offset of a ridge regression for each penalty."""
    centre, offset = x.mean(axis=0), y.mean(axis=0)
    centred = x - centre
    values, vectors = np.linalg.eigh(centred.T @ centred)
    rotated = vectors.T @ (centred.T @ (y - offset))
    fits = [vectors @ (rotated / (np.maximum(values, 0) + penalty)[:, None]) for penalty in penalties]
    return [(weights, offset - centre @ weights) for weights in fits]
