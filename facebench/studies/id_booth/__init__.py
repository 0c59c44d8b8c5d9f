"""ID-Booth's tables from photographs and base models: training, images, evaluation, utility."""

from __future__ import annotations

from facebench.studies.id_booth.request import Request
from facebench.studies.id_booth.run import run_study

__all__ = ["Request", "run_study"]
