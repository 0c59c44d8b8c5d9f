"""Metrics of video: identity over frames, jitter, head motion, and agreement of affect tracks.

    consistency = mean_{t >= 2} ½ [max(0, cos(f_t, f_{t-1})) + max(0, cos(f_t, f_1))]
    jitter      = mean |x_{t+3} - 3 x_{t+2} + 3 x_{t+1} - x_t| · fps³
    head motion = sqrt(mean std(angles) · mean var(Δ angles) + mean var(centre))

Frames are in order and equally spaced. Frames without a face must be handled before: a difference over a gap is not a
difference of neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.affect_agreement import affect_agreement
from facebench.metrics.arrays import Array, matrix, unit_rows


def subject_consistency(features: Array) -> float:
    """Consistency of the person over the frames of a clip, in [0, 1]; higher is steadier.

    A still image has 1. With embeddings of a recogniser it measures identity; VBench uses DINO.

    Args:
        features: (frames, d) embeddings in order, at least two frames, any norm but 0.

    Raises:
        InputError: fewer than two frames, a row of zeros, NaN or infinity.

    Source:
        VBench (Huang et al. 2024, arXiv:2311.17982), subject consistency.

    Example:
        >>> subject_consistency([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        0.5
    """
    rows = unit_rows(matrix(features, "features", 2), "features")
    before = np.einsum("ij,ij->i", rows[1:], rows[:-1])
    first = rows[1:] @ rows[0]
    return float(np.minimum((before.clip(min=0.0) + first.clip(min=0.0)) / 2, 1.0).mean())


def jitter(positions: Array, fps: float = 1.0) -> float:
    """Mean length of the third difference of tracked points times fps³; lower is smoother.

    It is 0 for motion with constant acceleration. The unit is that of the positions per s³.

    Args:
        positions: (frames, d) or (frames, points, d), at least four frames.
        fps: frames per second; 1 gives the unit per frame³.

    Raises:
        InputError: fewer than four frames, fps of 0 or less, NaN or infinity.

    Source:
        Flash and Hogan 1985, jerk; as used for motion capture, such as PhysCap (Shimada et al. 2020).

    Example:
        >>> jitter(np.arange(6.0)[:, None] ** 2)
        0.0
        >>> jitter([[0.0], [0.0], [0.0], [1.0]], fps=2)
        8.0
    """
    if not fps > 0:
        raise InputError(f"fps must be above 0, got {fps:g}.")
    tracks = np.asarray(positions)
    if tracks.ndim not in (2, 3):
        raise InputError(f"positions: expected (frames, d) or (frames, points, d), got {tracks.shape}.")
    width = tracks.shape[-1]
    matrix(tracks.reshape(len(tracks), -1), "positions", 4)
    third = np.diff(tracks.astype(np.float64), n=3, axis=0).reshape(-1, width)
    return float(np.linalg.norm(third, axis=1).mean() * fps**3)


def head_motion(angles: Array, centres: Array) -> float:
    """Head motion of THEval, in mixed units; compare it with that of real clips, near is better.

    Degrees and pixels are mixed by definition, so values depend on the size of the frames. Standard deviations and
    variances divide by the number of frames.

    Args:
        angles: (frames, 3) pitch, yaw and roll in degrees, at least two frames.
        centres: (frames, 2) x and y of the face in pixels.

    Raises:
        InputError: different numbers of frames, fewer than two, NaN or infinity.

    Source:
        THEval (arXiv:2511.04520), head motion dynamics.

    Example:
        >>> head_motion(np.zeros((5, 3)), np.zeros((5, 2)))
        0.0
    """
    angles, centres = matrix(angles, "angles", 2), matrix(centres, "centres", 2)
    if len(angles) != len(centres):
        raise InputError(f"{len(angles)} frames of angles and {len(centres)} of centres do not match.")
    turned = np.asarray(angles, dtype=np.float64)
    moved = np.asarray(centres, dtype=np.float64)
    turning = turned.std(axis=0).mean() * np.diff(turned, axis=0).var(axis=0).mean()
    return float(np.sqrt(turning + moved.var(axis=0).mean()))


def affect_track_agreement(targets: Sequence[Array], generated: Sequence[Array]) -> tuple[float, float]:
    """Concordance and Pearson correlation of affect tracks: computed for each clip, then averaged; higher is better.

    No standard exists. Pooling all frames would count how clips differ from each other, so clips are averaged. Clips
    with a constant track have no correlation and are left out.

    Args:
        targets: one (frames,) track of valence or arousal for each clip.
        generated: tracks of the generated clips, with the same numbers of frames.

    Returns:
        Mean concordance and mean Pearson correlation over clips.

    Raises:
        InputError: different numbers of clips or frames, no clip with varying tracks, NaN or infinity.

    Source:
        Lin 1989, eq. 2, for one clip.

    Example:
        >>> affect_track_agreement([[0.0, 0.5, 1.0]], [[0.0, 0.5, 1.0]])
        (1.0, 1.0)
    """
    if len(targets) != len(generated):
        raise InputError(f"{len(targets)} target tracks and {len(generated)} generated tracks do not match.")
    pairs = zip(targets, generated, strict=True)
    varied = [(t, g) for t, g in pairs if len(t) and np.ptp(t) > 0 and len(g) and np.ptp(g) > 0]
    if not varied:
        raise InputError("affect tracks need a clip in which both the target and the generated track vary.")
    clips = [affect_agreement(np.asarray(t), np.asarray(g)) for t, g in varied]
    return float(np.mean([clip.ccc for clip in clips])), float(np.mean([clip.pearson for clip in clips]))


def identity_drift(features: Array, frames: Array) -> float:
    """Fall of the cosine with the first frame over a clip, from a straight line; near 0 is better.

    The cosines of all later frames with the first one are fitted by least squares against the number of the frame. The
    drift is the fall of this line from the second to the last frame. Noise of single frames cancels; a person who
    changes steadily does not.

    Args:
        features: (frames, d) embeddings in order, at least three frames, any norm but 0.
        frames: (frames,) numbers of the frames, ascending.

    Raises:
        InputError: fewer than three frames, a row of zeros, NaN or infinity.

    Source:
        Ordinary least squares; the cosine with the first frame is a term of VBench (arXiv:2311.17982).

    Example:
        >>> angles = np.arccos([1.0, 0.9, 0.8, 0.7])
        >>> round(identity_drift(np.stack([np.cos(angles), np.sin(angles)], axis=1), np.arange(4)), 9)
        0.2
    """
    rows = unit_rows(matrix(features, "features", 3), "features")
    when = np.asarray(frames, dtype=np.float64)[1:]
    cosines = rows[1:] @ rows[0]
    centred = when - when.mean()
    slope = float(centred @ cosines / (centred @ centred))
    return -slope * float(when[-1] - when[0])


def track_jitter(positions: Array, frames: Array) -> float:
    """Jitter of tracked points over a clip with gaps, per frame³; lower is smoother.

    Third differences are taken within runs of consecutive frames only.

    Args:
        positions: (frames, points, d) in order.
        frames: (frames,) whole numbers of the frames, ascending.

    Raises:
        InputError: no four consecutive frames, NaN or infinity.

    Source:
        As `jitter`.

    Example:
        >>> track_jitter(np.arange(6.0).reshape(6, 1, 1) ** 2, np.arange(6))
        0.0
    """
    tracks, numbers = np.asarray(positions, dtype=np.float64), np.asarray(frames, dtype=np.float64)
    runs = np.split(np.arange(len(numbers)), np.flatnonzero(np.diff(numbers) != 1) + 1)
    long = [run for run in runs if len(run) >= 4]
    if not long:
        raise InputError("jitter needs four consecutive frames with a face.")
    weights = [len(run) - 3 for run in long]
    return float(np.average([jitter(tracks[run]) for run in long], weights=weights))


def head_motion_score(generated: float, target: float) -> float:
    """Agreement of the head motion of a generated clip with that of its target; higher is better, 1 is equal.

        1 - |generated - target| / target

    Args:
        generated: `head_motion` of the generated clip.
        target: `head_motion` of the target clip.

    Raises:
        InputError: the target does not move.

    Source:
        THEval (arXiv:2511.04520), score of one dimension.

    Example:
        >>> head_motion_score(1.5, 2.0)
        0.75
    """
    if not target > 0:
        raise InputError("the head of the target does not move, so there is no score.")
    return 1.0 - abs(generated - target) / target
