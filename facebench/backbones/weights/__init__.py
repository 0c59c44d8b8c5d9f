"""Trained weights: where they come from, how they are checked, under which terms, and how they are read."""

from __future__ import annotations

from facebench.backbones.weights.cache import WeightFile, cache_dir, path_of, resolve, suite_ready
from facebench.backbones.weights.fetch import ensure
from facebench.backbones.weights.licences import licence_notice, provenance
from facebench.backbones.weights.source import Given

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
