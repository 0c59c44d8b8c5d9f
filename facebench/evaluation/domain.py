"""The domain of the images: photographs or rendered faces, declared or detected; marks on numbers outside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from facebench.backbones import build, detector
from facebench.backbones.domains import domain_of
from facebench.core.errors import WeightsError
from facebench.core.shipped_data import MODELS
from facebench.evaluation.config import EvaluationConfig
from facebench.evaluation.record import MetricResult, Run
from facebench.features.extraction import FaceOptions
from facebench.features.shared_extraction import extract_where_held
from facebench.images.image_set import ImageSet

ImageDomain = Literal["photographs", "rendered", "mixed"]

RENDERED_COSINE = 0.31
"""Cosine of an SFace embedding and the mean embedding of rendered faces, from which a face counts as rendered.

Error of one face (tools/bake_domain.py): 0 of 180 rendered faces of other people (64 to 256 pixels) lie below it, 4 of
64 faces of another renderer, and 5 of 632 LFW photographs and 0 of 24 StyleGAN2 faces lie above it. No photograph was
used to choose the direction.
"""
MIXED = 0.2
"""Share of the rarer kind from which a set is mixed."""
SAMPLED = 32
"""Images that are examined of each set, evenly spaced."""
_TEXT = {
    "photographs": "photographs",
    "rendered": "rendered faces",
    "mixed": "photographs and rendered faces",
}


@dataclass(frozen=True)
class SetDomain:
    """Domain of an image set.

    Attributes:
        domain: "photographs", "rendered", or "mixed".
        source: "declared", or what the detection rests on.
    """

    domain: ImageDomain
    source: str

    @property
    def text(self) -> str:
        """The domain in words."""
        return _TEXT[self.domain]


def find_domains(sets: Mapping[str, ImageSet], config: EvaluationConfig) -> dict[str, SetDomain]:
    """Return the domain of each set, by role; sets without a detected face are absent.

    The option `domain` declares the domain of all sets, a column `domain` in the manifest that of one set. Otherwise
    up to `SAMPLED` faces are examined.
    """
    domains = {}
    for role, images in sets.items():
        declared = _declared(images, config)
        found = SetDomain(declared, "declared") if declared else _detect(images, config)
        if found is not None:
            domains[role] = found
    return domains


def domain_of_faces(embeddings: npt.NDArray[np.floating]) -> SetDomain:
    """Return the domain of faces from their SFace embeddings (n, 128).

    Example:
        >>> domain_of_faces(np.stack([_direction()] * 3)).domain
        'rendered'
    """
    rendered = int((np.asarray(embeddings, np.float64) @ _direction() >= RENDERED_COSINE).sum())
    share, n = rendered / len(embeddings), len(embeddings)
    domain: ImageDomain = "rendered" if share > 1 - MIXED else "photographs" if share < MIXED else "mixed"
    return SetDomain(domain, f"detected, {rendered} of {n} examined faces are rendered")


def mark_domains(run: Run) -> None:
    """Mark numbers of networks outside their domain with a note and a warning."""
    generated = run.inputs["generated"].domain
    if generated is None:
        return
    results: list[Mapping[str, MetricResult]] = [run.metrics, *run.groups.values()]
    outside = set()
    for result in (result for each in results for result in each.values()):
        trained = domain_of(result.backbone)
        if result.value is not None and trained not in ("any", generated):
            outside.add(result.backbone)
            note = f"outside its domain: {result.backbone} reads {_TEXT[trained]}, the images are {_TEXT[generated]}"
            result.note = "; ".join(part for part in (note, result.note) if part)
    run.warnings += [
        f"{name} was trained on {_TEXT[domain_of(name)]}; the generated images are {_TEXT[generated]} "
        "(--domain declares the kind)"
        for name in sorted(outside)
    ]


def domain_warnings(domains: Mapping[str, SetDomain]) -> list[str]:
    """Return one warning for every reference set of another kind than the generated images."""
    if "generated" not in domains:
        return []
    generated = domains["generated"]
    return [
        f"the generated images are {generated.text}, the {role} images are {reference.text}; face quality, identity "
        "and expression are comparable only within one kind"
        for role, reference in domains.items()
        if role.partition(":")[0] == "reference" and reference.domain != generated.domain
    ]


def _declared(images: ImageSet, config: EvaluationConfig) -> ImageDomain | None:
    if config.domain != "auto":
        return config.domain
    columns = {text.strip().lower() for text in images.column("domain") if text}
    if columns and columns <= {"photographs", "rendered"}:
        return "mixed" if len(columns) == 2 else "photographs" if "photographs" in columns else "rendered"
    return None


def _detect(images: ImageSet, config: EvaluationConfig) -> SetDomain | None:
    places = np.linspace(0, len(images) - 1, min(SAMPLED, len(images))).round().astype(int)
    sample = replace(images, items=tuple(images.items[place] for place in places), rejected=(), warnings=())
    try:
        network = build("sface")
    except WeightsError:
        return None
    faces = FaceOptions(detector(config.detector))
    extraction = extract_where_held(sample, [network], faces=faces, stage="domain")
    valid = extraction.valid["sface"]
    return domain_of_faces(extraction.arrays["sface"]["embedding"][valid]) if valid.any() else None


@cache
def _direction() -> npt.NDArray[np.float64]:
    """Return the mean SFace embedding of rendered faces, of unit length, (128,)."""
    return np.asarray(np.load(MODELS / "rendered-faces.npy"), np.float64)
