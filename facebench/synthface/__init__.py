"""Parametric faces whose truth is known: identity, expression, pose and light in; images and physical buffers out."""

from __future__ import annotations

from facebench.synthface.dataset import load_parameters, write
from facebench.synthface.degradations import degrade
from facebench.synthface.model import Buffers, FaceModel
from facebench.synthface.parameters import Parameters

__all__ = ["Buffers", "FaceModel", "Parameters", "degrade", "load_parameters", "write"]
