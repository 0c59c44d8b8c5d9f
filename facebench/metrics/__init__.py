"""Metrics as pure functions on NumPy arrays: rows are samples, generated first, reference second.

Nothing here reads files or knows a network. Sums and statistics are float64; inputs may be float32 and
memory-mapped and are read in blocks. A function that returns several numbers returns a frozen dataclass.
"""

from facebench.metrics.affect import AffectAgreement, affect_agreement, class_agreement
from facebench.metrics.diversity import vendi_per_class, vendi_score
from facebench.metrics.frechet import FrechetInfinity, frechet_distance, frechet_infinity
from facebench.metrics.id_booth import PairList, id_booth_pairs, id_booth_scores, id_booth_verification
from facebench.metrics.kernel import KernelDistance, kernel_distance, mmd_rbf
from facebench.metrics.leakage import Leakage, closest_faces, leakage
from facebench.metrics.moments import Moments, clipped_mass
from facebench.metrics.neighbours import (
    DensityCoverage,
    PrecisionRecall,
    authenticity,
    density_coverage,
    precision_recall,
)
from facebench.metrics.pairs import PairScores, pair_scores
from facebench.metrics.rates import OperatingPoint
from facebench.metrics.summary import (
    MeanStd,
    cosine_similarity,
    mean_std,
    paired_delta,
    paired_distance,
    paired_similarity,
    spread,
)
from facebench.metrics.verification import DetCurve, Verification, det_curve, nearest_fmr, verification
from facebench.metrics.verification_blocked import BlockedVerification, blocked_verification

__all__ = [
    "AffectAgreement",
    "BlockedVerification",
    "DensityCoverage",
    "DetCurve",
    "FrechetInfinity",
    "KernelDistance",
    "Leakage",
    "MeanStd",
    "Moments",
    "OperatingPoint",
    "PairList",
    "PairScores",
    "PrecisionRecall",
    "Verification",
    "affect_agreement",
    "authenticity",
    "blocked_verification",
    "class_agreement",
    "clipped_mass",
    "closest_faces",
    "cosine_similarity",
    "density_coverage",
    "det_curve",
    "frechet_distance",
    "frechet_infinity",
    "id_booth_pairs",
    "id_booth_scores",
    "id_booth_verification",
    "kernel_distance",
    "leakage",
    "mean_std",
    "mmd_rbf",
    "nearest_fmr",
    "pair_scores",
    "paired_delta",
    "paired_distance",
    "paired_similarity",
    "precision_recall",
    "spread",
    "vendi_per_class",
    "vendi_score",
    "verification",
]
