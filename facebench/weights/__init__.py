"""Trained weights: where they come from, how they are checked, under which terms, and how they are read."""

from __future__ import annotations

from facebench.weights.given import Given
from facebench.weights.locate import WeightFile, cache_dir, path_of, resolve

__all__ = ["Given", "WeightFile", "cache_dir", "path_of", "resolve"]
