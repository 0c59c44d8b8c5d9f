"""Trained weights: where they come from, how they are checked, under which terms, and how they are read."""

from __future__ import annotations

from facebench.weights.fetch import ensure
from facebench.weights.given import Given
from facebench.weights.locate import WeightFile, cache_dir, path_of, resolve, suite_ready
from facebench.weights.terms import licence_notice, provenance

__all__ = [
    "Given",
    "WeightFile",
    "cache_dir",
    "ensure",
    "licence_notice",
    "path_of",
    "provenance",
    "resolve",
    "suite_ready",
]
