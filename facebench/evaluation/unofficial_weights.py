"""Runs with other weights than the published ones carry the mark in every number, table and page."""

from __future__ import annotations

from collections.abc import Mapping

from facebench.evaluation.record import MetricResult, Run


def mark_unofficial(run: Run) -> None:
    """Write into a record which weights are not the official ones: a warning, and a note on every such number.

    Tables show a number with a note as † and print the note below, so that no number can be mistaken for one
    that was made with the published weights.
    """
    unofficial = sorted(name for name, backbone in run.backbones.items() if backbone.unofficial)
    if not unofficial:
        return
    named = ", ".join(unofficial)
    run.warnings.insert(
        0, f"NOT OFFICIAL: other weights than the published ones for {named}. These numbers are no results."
    )
    everything: list[Mapping[str, MetricResult]] = [run.metrics, *run.groups.values()]
    for results in everything:
        for result in results.values():
            if result.backbone in unofficial and result.value is not None:
                told = f"not the official weights of {result.backbone}"
                result.note = "; ".join(note for note in (told, result.note) if note)
