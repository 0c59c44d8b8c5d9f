"""Licences and provenance of weights, for the terminal and the run record."""

from __future__ import annotations

from collections.abc import Iterable

from facebench.backbones.weights import registry
from facebench.backbones.weights.cache import resolve


def licence_notice(names: Iterable[str]) -> list[str]:
    """Return one line for each file whose licence excludes commercial use.

    Args:
        names: names of backbones or registry entries.

    Example:
        >>> licence_notice(["sface", "emonet-8"])
        ['emonet-8: non-commercial use only, CC-BY-NC-ND-4.0 (https://github.com/face-analysis/emonet)']
    """
    return [
        f"{entry.name}: non-commercial use only, {entry.licence} ({entry.home})"
        for entry in registry.select(names)
        if entry.non_commercial
    ]


def provenance(names: Iterable[str]) -> list[dict[str, str | bool]]:
    """Return the entries of a run record about weights, one dict for each file.

    Args:
        names: names of backbones or registry entries.

    Raises:
        WeightsError: a file is missing or damaged.

    Example:
        >>> provenance(["sface"])[0]["fingerprint"]
        'Git LFS pointer in the OpenCV zoo'
    """
    records: list[dict[str, str | bool]] = []
    for entry in registry.select(names):
        file = resolve(entry.name)
        records.append(
            {
                "name": entry.name,
                "file": entry.file,
                "sha256": file.sha256,
                "verified": file.verified,
                "unofficial": file.unofficial,
                "fingerprint": file.fingerprint,
                "licence": file.licence,
                "non_commercial": entry.non_commercial,
                "home": entry.home or "",
            }
        )
    return records
