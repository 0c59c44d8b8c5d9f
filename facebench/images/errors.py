"""Reasons why a file is not used."""

from __future__ import annotations

from typing import Literal

from facebench.core.errors import FacebenchError

Reason = Literal[
    "truncated",
    "empty",
    "not_an_image",
    "unsupported",
    "too_large",
    "too_small",
    "unreadable",
    "missing",
    "outside",
    "duplicate",
    "other_file",
    "no_face",
    "not_finite",
]
"""Why a file is not used. docs/images.md explains each reason."""


class ImageError(FacebenchError):
    """An image file cannot be used.

    Attributes:
        reason: fixed code.
        detail: explanation for the user.
    """

    def __init__(self, reason: Reason, detail: str, name: str = "image") -> None:
        super().__init__(f"{name}: {reason} ({detail})")
        self.reason: Reason = reason
        self.detail = detail
