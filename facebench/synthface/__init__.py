"""Parametric faces with ground truth: rendered from identity, expression, pose and light to images and buffers."""

from __future__ import annotations

from facebench.synthface.dataset import RenderOptions, load_parameters, write
from facebench.synthface.degradations import degrade
from facebench.synthface.model import Buffers, FaceModel
from facebench.synthface.parameters import Parameters

__all__ = ["Buffers", "FaceModel", "Parameters", "RenderOptions", "degrade", "load_parameters", "write"]
