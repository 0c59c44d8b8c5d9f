"""Validation: damage rendered faces by known amounts and check the claims of metric cards."""

from __future__ import annotations

from facebench.studies.validation.validate import STRENGTHS, Validation, ValidationConfig, validate

__all__ = ["STRENGTHS", "Validation", "ValidationConfig", "validate"]
