"""Mark runs with weights that differ from the published ones in every number, table and page."""

from __future__ import annotations

from collections.abc import Mapping

from facebench.evaluation.record import MetricResult, Run


def mark_unofficial(run: Run) -> None:
    """Add a warning to a record with unofficial weights, and a note to every number computed with them.

    Tables mark a number with a note by † and print the note below. These numbers are therefore not mistaken for
    numbers computed with the published weights.
    """
    unofficial = sorted(name for name, backbone in run.backbones.items() if backbone.unofficial)
    if not unofficial:
        return
    named = ", ".join(unofficial)
    run.warnings.insert(
        0, f"NOT OFFICIAL: weights of {named} differ from the published ones. These numbers are not results."
    )
    everything: list[Mapping[str, MetricResult]] = [run.metrics, *run.groups.values()]
    for results in everything:
        for result in results.values():
            if result.backbone in unofficial and result.value is not None:
                remark = f"not the official weights of {result.backbone}"
                result.note = "; ".join(note for note in (remark, result.note) if note)
