"""Confidence intervals of metrics, by resampling the units that vary independently.

| metric | what is resampled | function |
|---|---|---|
| a mean over images, a paired difference, an agreement | units with all their images | `bootstrap_images` |
| verification | identities, never pairs: pairs that share a person vary together | `bootstrap_identities` |
| verification of more pairs than memory holds | groups of identities | `jackknife_identities` |
| verification of one identity | its images, and the other identities | `bootstrap_subject` |
| distances between sets, nearest neighbours, Vendi score | groups of units | `jackknife` |
| a Fréchet distance to a given mean and covariance | groups of units of the generated set | `jackknife_against` |
| any function of arrays | as above | `estimate` |

An interval covers the variation between samples of the same size. It does not include the bias that a metric has at
that size. Intervals of fewer than 50 effective units carry a note.
"""

from facebench.metrics.interval import Interval
from facebench.metrics.intervals.bootstrap import bootstrap_images
from facebench.metrics.intervals.estimate import estimate, verification
from facebench.metrics.intervals.identity import bootstrap_identities, jackknife_identities
from facebench.metrics.intervals.jackknife import jackknife, jackknife_against
from facebench.metrics.intervals.subject import SubjectScores, bootstrap_subject, subject_scores
from facebench.metrics.units import Units

__all__ = [
    "Interval",
    "SubjectScores",
    "Units",
    "bootstrap_identities",
    "bootstrap_images",
    "bootstrap_subject",
    "estimate",
    "jackknife",
    "jackknife_against",
    "jackknife_identities",
    "subject_scores",
    "verification",
]
