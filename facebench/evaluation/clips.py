"""Numbers of clips: rows of the generated images are grouped by clip, ordered by frame, and reduced to one number.

The manifest's column `frame` holds the number of the frame, and `clip` the name of the clip; without it, frames with
one source are a clip.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from facebench.core.errors import InputError
from facebench.evaluation.cards import Card, OverFrames
from facebench.evaluation.reference_rows import card_rows
from facebench.evaluation.role_features import Mask, RoleFeatures
from facebench.features.extraction import Extraction
from facebench.images.image_set import ImageSet
from facebench.metrics.arrays import Array, Floats, Ints
from facebench.metrics.temporal import (
    affect_track_agreement,
    head_motion,
    head_motion_score,
    identity_drift,
    subject_consistency,
    track_jitter,
)

FRAME, CLIP = "frame", "clip"


@dataclass(frozen=True)
class ClipValues:
    """One number for each clip that has it.

    Attributes:
        names: names of the clips.
        values: (clips,) their numbers.
        frames: number of frames of these clips.
        reason: why the other clips have no number; empty if all have one.
    """

    names: list[str]
    values: Floats
    frames: int
    reason: str = ""


def has_clips(images: ImageSet) -> bool:
    """Return whether images are frames of clips."""
    return FRAME in images.columns


def clip_values(card: Card, features: RoleFeatures) -> ClipValues:
    """Compute the number of each clip.

    Raises:
        InputError: no frame is given, a frame is not a number or occurs twice, or no clip has a number.
    """
    assert card.over_frames is not None
    reduce = _REDUCTIONS[card.over_frames]
    names, values, frames, reason = [], [], 0, ""
    for name, rows in clips_of(features).items():
        try:
            values.append(reduce(card, features, rows))
        except InputError as error:
            reason = reason or f"clip '{name}': {error}"
            continue
        names.append(name)
        frames += len(rows)
    if not names:
        raise InputError(reason)
    return ClipValues(names, np.array(values), frames, reason)


def clips_of(features: RoleFeatures) -> dict[str, Ints]:
    """Return the rows of the selected generated images by clip, in the order of their frames.

    Raises:
        InputError: the column `frame` is missing, or a frame is not a number or occurs twice in a clip.
    """
    numbers = features.numbers(FRAME)
    texts = features.column("generated", FRAME)
    if not any(texts):
        raise InputError("needs a manifest with the column 'frame'")
    wrong = next(
        (text for text, number in zip(texts, numbers, strict=True) if text and np.isnan(number)), None
    )
    if wrong is not None:
        raise InputError(f"the column 'frame' holds '{wrong}'; numbers are needed")
    grouped: dict[str, list[int]] = defaultdict(list)
    labels = _labels(features)
    for row in np.flatnonzero(features.selected_generated & ~np.isnan(numbers)):
        grouped[labels[row]].append(int(row))
    clips = {name: np.array(sorted(rows, key=lambda row: numbers[row])) for name, rows in grouped.items()}
    for name, rows in clips.items():
        if len(np.unique(numbers[rows])) < len(rows):
            raise InputError(
                f"a frame of the clip '{name}' occurs twice; name the clips in the column 'clip'"
            )
    return clips


def _labels(features: RoleFeatures) -> list[str]:
    """Name of the clip of each generated image."""
    for column in (CLIP, "source"):
        labels = features.column("generated", column)
        if any(labels):
            return [label or "" for label in labels]
    return ["clip"] * len(features.column("generated", FRAME))


def _pair(card: Card, features: RoleFeatures, rows: Ints) -> tuple[Array, Array]:
    """Return generated and target rows of the frames with both."""
    backbone, array = card.reads.backbone, str(card.reads.array)
    generated, valid = features.rows("generated", backbone, array)
    target, has_target = features.partner_rows("target", backbone, array)
    both = rows[(valid & has_target)[rows]]
    return generated[both], target[both]


def _concordance(card: Card, features: RoleFeatures, rows: Ints) -> float:
    generated, target = _pair(card, features, rows)
    return affect_track_agreement([target], [generated])[0]


def _correlation(card: Card, features: RoleFeatures, rows: Ints) -> float:
    generated, target = _pair(card, features, rows)
    return affect_track_agreement([target], [generated])[1]


def _present(card: Card, features: RoleFeatures, rows: Ints) -> tuple[Array, Floats]:
    """Return the features of the frames that have them, and the numbers of these frames."""
    values, valid = card_rows(features, "generated", card.reads)
    present = rows[valid[rows]]
    return values[present], features.numbers(FRAME)[present]


def _drift(card: Card, features: RoleFeatures, rows: Ints) -> float:
    return identity_drift(*_present(card, features, rows))


def _consistency(card: Card, features: RoleFeatures, rows: Ints) -> float:
    return subject_consistency(_present(card, features, rows)[0])


def _missing(card: Card, features: RoleFeatures, rows: Ints) -> float:
    found, _ = card_rows(features, "generated", card.reads)
    return float(1.0 - np.asarray(found)[rows].mean())


def _jitter(card: Card, features: RoleFeatures, rows: Ints) -> float:
    """Jitter of the five landmarks, in heights of the face."""
    faces = features.extractions["generated"].faces
    present = [row for row in rows.tolist() if faces[row] is not None]
    known = [face for row in present if (face := faces[row]) is not None]
    if not known:
        raise InputError("jitter needs four consecutive frames with a face.")
    height = float(np.median([face.box[3] for face in known]))
    points = np.stack([np.asarray(face.landmarks, dtype=np.float64) for face in known]) / height
    return track_jitter(points, features.numbers(FRAME)[present])


def _head_motion(card: Card, features: RoleFeatures, rows: Ints) -> float:
    angles, valid = card_rows(features, "generated", card.reads)
    return _motion(angles, valid, features.extractions["generated"], rows)


def _head_motion_score(card: Card, features: RoleFeatures, rows: Ints) -> float:
    partners = features.links["target"][rows]
    angles, valid = card_rows(features, "target", card.reads)
    target = _motion(angles, valid, features.extractions["target"], partners[partners >= 0])
    return head_motion_score(_head_motion(card, features, rows), target)


def _motion(angles: Array, valid: Mask, extraction: Extraction, rows: Ints) -> float:
    """Head motion over the frames with a face; frames without one are skipped, as THEval does."""
    present = [row for row in rows.tolist() if valid[row] and extraction.faces[row] is not None]
    boxes = np.array([face.box for row in present if (face := extraction.faces[row]) is not None])
    if len(present) < 2:
        raise InputError(f"{len(present)} frames with a face, at least 2 are needed.")
    return head_motion(angles[present], boxes[:, :2] + boxes[:, 2:] / 2)


_REDUCTIONS: Mapping[OverFrames, Callable[[Card, RoleFeatures, Ints], float]] = {
    "ccc": _concordance,
    "pearson": _correlation,
    "drift": _drift,
    "consistency": _consistency,
    "missing": _missing,
    "jitter": _jitter,
    "head_motion": _head_motion,
    "head_motion_score": _head_motion_score,
}
