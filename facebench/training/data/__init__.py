"""Training data: sets of images that are read by index, in an order that depends on seed and step only."""

from __future__ import annotations

from facebench.training.data.faces import Batch, Face, Faces
from facebench.training.data.folders import FolderFaces
from facebench.training.data.loading import Loading, load_batches
from facebench.training.data.order import order, rows_of_step
from facebench.training.data.synthetic import Population, SynthfaceFaces

__all__ = [
    "Batch",
    "Face",
    "Faces",
    "FolderFaces",
    "Loading",
    "Population",
    "SynthfaceFaces",
    "load_batches",
    "order",
    "rows_of_step",
]
