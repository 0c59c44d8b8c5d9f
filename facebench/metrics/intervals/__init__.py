"""Confidence intervals of metrics, by resampling the units that vary independently.

| metric | what is resampled | function |
|---|---|---|
| a mean over images, a paired difference, an agreement | images | `bootstrap_images` |
| verification | identities, never pairs: pairs that share a person vary together | `bootstrap_identities` |
| verification of more pairs than memory holds | groups of identities | `jackknife_identities` |
| verification of one identity | its images, and the other identities | `bootstrap_subject` |
| distances between sets, nearest neighbours, Vendi score | groups of rows | `jackknife` |

An interval covers the variation between samples of the same size. It does not include the bias that a metric has at
that size. Intervals of fewer than 30 images or 10 identities carry a note.
"""

from facebench.metrics.intervals.bootstrap import bootstrap_images
from facebench.metrics.intervals.identity import bootstrap_identities, jackknife_identities
from facebench.metrics.intervals.interval import Interval
from facebench.metrics.intervals.jackknife import jackknife
from facebench.metrics.intervals.subject import SubjectScores, bootstrap_subject, subject_scores

__all__ = [
    "Interval",
    "SubjectScores",
    "bootstrap_identities",
    "bootstrap_images",
    "bootstrap_subject",
    "jackknife",
    "jackknife_identities",
    "subject_scores",
]
