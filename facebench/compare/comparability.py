"""Check whether two runs are comparable, and list the reasons if they are not."""

from __future__ import annotations

from facebench.backbones import DETECTORS
from facebench.evaluation.inputs import HELD_OUT
from facebench.evaluation.picked import PICKED
from facebench.evaluation.record import Run

SIZE_TOLERANCE = 0.01
"""Relative difference up to which two image sets count as equal in size, so that one unreadable file is tolerated."""


def reasons_not_comparable(first: Run, second: Run) -> list[str]:
    """Return the reasons why two runs are not comparable; an empty list if they are."""
    reasons = []
    if first.protocol != second.protocol:
        reasons.append(f"protocol {second.protocol}, not {first.protocol}")
    if first.suite != second.suite:
        reasons.append(f"suite {second.suite}, not {first.suite}")
    if _minor_version(first) != _minor_version(second):
        reasons.append(f"measured by facebench {second.facebench.version}, not {first.facebench.version}")
    if first.tags.get(PICKED) != second.tags.get(PICKED):
        reasons.append(f"{_selection(second)}, not {_selection(first)}")
    if _digests(first, "reference") != _digests(second, "reference"):
        reasons.append("different reference set")
    if _digests(first, HELD_OUT) != _digests(second, HELD_OUT):
        reasons.append("different held-out images")
    reasons += _face_reasons(first, second)
    for name in sorted(set(first.backbones) & set(second.backbones)):
        if first.backbones[name].sha256 != second.backbones[name].sha256:
            reasons.append(f"different weights of {name}")
        if first.backbones[name].preprocessing != second.backbones[name].preprocessing:
            reasons.append(f"different preprocessing of {name}")
    return reasons + _size_reasons(first, second)


def _face_reasons(first: Run, second: Run) -> list[str]:
    """Return differences in the detection and in the kind of the faces."""
    reasons = []
    detectors = [set(DETECTORS) & set(run.backbones) for run in (first, second)]
    if all(detectors) and detectors[0] != detectors[1]:
        reasons.append(f"faces detected by {', '.join(detectors[1])}, not {', '.join(detectors[0])}")
    domains = [run.inputs["generated"].domain for run in (first, second)]
    # A damaged set of rendered faces can be detected as mixed, and must stay comparable.
    if set(domains) == {"photographs", "rendered"}:
        reasons.append(f"images of the kind {domains[1]}, not {domains[0]}")
    return reasons


def _selection(run: Run) -> str:
    return f"picked images ({run.tags[PICKED]})" if PICKED in run.tags else "all images"


def _minor_version(run: Run) -> list[str]:
    return run.facebench.version.split(".")[:2]


def _digests(run: Run, kind: str) -> dict[str, str]:
    return {role: record.digest for role, record in run.inputs.items() if role.partition(":")[0] == kind}


def _size_reasons(first: Run, second: Run) -> list[str]:
    sizes = first.inputs["generated"].images, second.inputs["generated"].images
    size_dependent = [m for m in first.metrics if m in second.metrics and first.metrics[m].depends_on_n]
    if size_dependent and abs(sizes[0] - sizes[1]) > SIZE_TOLERANCE * max(sizes):
        return [f"n = {sizes[1]}, not {sizes[0]}, and {size_dependent[0]} depends on n"]
    return []
