"""Folders of the data files of facebench, in an installed wheel or in a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).resolve().parents[1]

MODELS = _PACKAGE / "shipped"
"""Small trained models."""

_CHECKOUT = {"metrics": "metrics", "protocols": "protocols", "published": "results/published"}


def data_folder(kind: Literal["metrics", "protocols", "published"]) -> Path:
    """Return the folder of metric cards, protocols, or published tables."""
    installed = _PACKAGE / "_cards" / kind
    return installed if installed.is_dir() else _PACKAGE.parent / _CHECKOUT[kind]
