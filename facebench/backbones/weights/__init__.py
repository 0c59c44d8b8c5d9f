"""Trained weights: registry, download, cache, fingerprints, licences and readers."""

from __future__ import annotations

from facebench.backbones.weights.cache import WeightFile, cache_dir, path_of, resolve, suite_ready
from facebench.backbones.weights.fetch import ensure
from facebench.backbones.weights.licences import licence_notice, provenance
from facebench.backbones.weights.source import WeightsSource

__all__ = [
    "WeightFile",
    "WeightsSource",
    "cache_dir",
    "ensure",
    "licence_notice",
    "path_of",
    "provenance",
    "resolve",
    "suite_ready",
]
