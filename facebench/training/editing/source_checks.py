"""Checks of the images that an autoencoder is asked to edit: kind of the faces, and alignment."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facebench.backbones import detector
from facebench.backbones.ffhq_alignment import misalignment
from facebench.core.errors import InputError
from facebench.evaluation.config import EvaluationConfig
from facebench.evaluation.domain import find_domains
from facebench.images.decoding import ImageError, decode
from facebench.images.image_set import ImageSet, read

SAMPLED = 16
"""Images that are examined, evenly spaced."""
LARGEST_MISALIGNMENT = 0.08
"""Median misalignment from which images are refused.

Aligned sets have a median of 0.033 to 0.045, rendered faces without alignment 0.09, LFW 0.22 (docs/real-faces.md).
"""


def refuse_photographs(images: Path, model: str) -> None:
    """Raise an error when the sources of a model of rendered faces are photographs.

    Raises:
        InputError: most of the examined faces are photographs.
    """
    config = EvaluationConfig.build(generated=images)
    found = find_domains({"generated": ImageSet.open(images)}, config).get("generated")
    if found is not None and found.domain == "photographs":
        raise InputError(
            f"The faces in {images} are photographs ({found.source}). {model} was trained on rendered faces only. "
            "Edit photographs with --checkpoint ffhq256-autoenc or a model of your own, or add --force."
        )


def refuse_unaligned(images: Path, size: int) -> None:
    """Raise an error when the sources of a model of aligned faces are not aligned as FFHQ is.

    Args:
        images: folder or manifest.
        size: side of the images of the model, for the command in the message.

    Raises:
        InputError: the median misalignment of the examined images is large.
    """
    found = median_misalignment(ImageSet.open(images))
    if found is not None and found > LARGEST_MISALIGNMENT:
        raise InputError(
            f"The faces in {images} are not aligned as the model needs: their crops are {found:.0%} of the side away "
            f"from FFHQ's. Align them first: facebench align {images} NEW --size {size}, then edit NEW. "
            "--force edits them as they are."
        )


def median_misalignment(images: ImageSet) -> float | None:
    """Return the median of `misalignment` over the examined images; None without a detected face."""
    finder = detector("yunet")
    places = np.unique(np.linspace(0, len(images) - 1, min(SAMPLED, len(images))).round().astype(int))
    distances = []
    for item in (images.items[place] for place in places):
        try:
            pixels = decode(read(item), item.name)
        except ImageError:
            continue
        face = finder.find(pixels)
        if face is not None:
            distances.append(misalignment(face.landmarks, *pixels.shape[:2]))
    return float(np.median(distances)) if distances else None
