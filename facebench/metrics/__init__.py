"""Metrics as pure functions on NumPy arrays: rows are samples, generated first, reference second.

No function reads files or uses a network. Sums and statistics are float64. Inputs may be float32 and memory-mapped;
they are read in blocks. A function that returns several numbers returns a frozen dataclass. One file holds one metric
and starts with its formula. `registry` defines how metric cards call each function.
"""

from facebench.metrics.affect_agreement import AffectAgreement, affect_agreement
from facebench.metrics.authenticity import authenticity
from facebench.metrics.biometric_capacity import biometric_capacity
from facebench.metrics.class_agreement import class_agreement
from facebench.metrics.class_change import class_change
from facebench.metrics.clipped_density_coverage import ClippedDensityCoverage, clipped_density_coverage
from facebench.metrics.copied_share import CopiedShare, copied_share
from facebench.metrics.density_coverage import DensityCoverage, density_coverage
from facebench.metrics.det_curve import DetCurve, det_curve
from facebench.metrics.distinct_identities import DistinctIdentities, distinct_identities
from facebench.metrics.edit_control import (
    EditLinearity,
    control_linearity,
    edit_linearity,
    harmonic_edit_score,
)
from facebench.metrics.edit_trade_off import EditTradeOff, edit_trade_off
from facebench.metrics.expression_confusion import ExpressionConfusion, expression_confusion
from facebench.metrics.frechet import frechet_distance
from facebench.metrics.frechet_infinity import FrechetInfinity, frechet_infinity
from facebench.metrics.id_booth import (
    PairList,
    id_booth_pairs,
    id_booth_scores,
    id_booth_verification,
    nearest_fmr,
)
from facebench.metrics.image_noise import haar_noise, jpeg_quality, laplacian_variance
from facebench.metrics.kernel_distance import KernelDistance, kernel_distance
from facebench.metrics.leakage import Leakage, closest_faces, leakage
from facebench.metrics.macro_recall import macro_recall
from facebench.metrics.mean_std import MeanStd, mean_std
from facebench.metrics.membership import Membership, membership
from facebench.metrics.mind import mind, sliced_wasserstein
from facebench.metrics.mmd_rbf import mmd_rbf
from facebench.metrics.moments import Moments, clipped_mass
from facebench.metrics.paired import cosine_similarity, paired_delta, paired_distance, paired_similarity
from facebench.metrics.pairs import PairScores, pair_scores
from facebench.metrics.precision_recall import PrecisionRecall, precision_recall
from facebench.metrics.rank_agreement import pair_agreement, rank_correlation
from facebench.metrics.rates import OperatingPoint
from facebench.metrics.retrieval import Retrieval, retrieval, retrieval_rates
from facebench.metrics.share_verified import VerifiedShare, share_verified, share_verified_at, threshold_at
from facebench.metrics.skin_tone import SkinTone, skin_tone
from facebench.metrics.spread import spread
from facebench.metrics.tar_at_far import tar_at_far
from facebench.metrics.temporal import affect_track_agreement, head_motion, jitter, subject_consistency
from facebench.metrics.vendi import vendi_per_class, vendi_score
from facebench.metrics.verification import Verification, verification
from facebench.metrics.verification_blocked import BlockedVerification, blocked_verification
from facebench.metrics.wanted_class import wanted_class

__all__ = [
    "AffectAgreement",
    "BlockedVerification",
    "ClippedDensityCoverage",
    "CopiedShare",
    "DensityCoverage",
    "DetCurve",
    "DistinctIdentities",
    "EditLinearity",
    "EditTradeOff",
    "ExpressionConfusion",
    "FrechetInfinity",
    "KernelDistance",
    "Leakage",
    "MeanStd",
    "Membership",
    "Moments",
    "OperatingPoint",
    "PairList",
    "PairScores",
    "PrecisionRecall",
    "Retrieval",
    "SkinTone",
    "Verification",
    "VerifiedShare",
    "affect_agreement",
    "affect_track_agreement",
    "authenticity",
    "biometric_capacity",
    "blocked_verification",
    "class_agreement",
    "class_change",
    "clipped_density_coverage",
    "clipped_mass",
    "closest_faces",
    "control_linearity",
    "copied_share",
    "cosine_similarity",
    "density_coverage",
    "det_curve",
    "distinct_identities",
    "edit_linearity",
    "edit_trade_off",
    "expression_confusion",
    "frechet_distance",
    "frechet_infinity",
    "haar_noise",
    "harmonic_edit_score",
    "head_motion",
    "id_booth_pairs",
    "id_booth_scores",
    "id_booth_verification",
    "jitter",
    "jpeg_quality",
    "kernel_distance",
    "laplacian_variance",
    "leakage",
    "macro_recall",
    "mean_std",
    "membership",
    "mind",
    "mmd_rbf",
    "nearest_fmr",
    "pair_agreement",
    "pair_scores",
    "paired_delta",
    "paired_distance",
    "paired_similarity",
    "precision_recall",
    "rank_correlation",
    "retrieval",
    "retrieval_rates",
    "share_verified",
    "share_verified_at",
    "skin_tone",
    "sliced_wasserstein",
    "spread",
    "subject_consistency",
    "tar_at_far",
    "threshold_at",
    "vendi_per_class",
    "vendi_score",
    "verification",
    "wanted_class",
]
