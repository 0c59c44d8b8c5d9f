"""Present a validation: a table of all claims, sentences, and one figure with every response curve."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from facebench.core.tables import Cell, Column, Table
from facebench.evaluation.cards import Damage
from facebench.evaluation.record import MetricResult
from facebench.studies.validation.validate import Validation
from facebench.studies.validation.verdicts import Claim

COLUMNS = 4
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "facebench",
    "text.parse_math": False,
    "font.size": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
}
# Colours for all types of colour vision (Okabe and Ito 2008), with one marker each.
_LOOKS: dict[Damage, tuple[str, str]] = {
    "blur": ("#0072B2", "o"),
    "jpeg": ("#56B4E9", "s"),
    "noise": ("#D55E00", "^"),
    "occlusion": ("#E69F00", "v"),
    "darkness": ("#666666", "d"),
    "identity_drift": ("#CC79A7", "D"),
    "expression_strength": ("#009E73", "P"),
    "mode_collapse": ("#000000", "X"),
    "copying": ("#8C6D31", "*"),
}


def claims_table(validation: Validation) -> Table:
    """Return one row for each claim: the value at every strength, and the verdict."""
    strengths = " → ".join(f"{strength:g}" for strength in validation.claims[0].curve.results)
    columns = [
        Column("metric", "Metric", numeric=False),
        Column("claim", "Claim", numeric=False),
        Column("values", f"Value at strength {strengths}", numeric=False),
        Column("verdict", "Verdict", numeric=False),
    ]
    rows = []
    for claim in validation.claims:
        curve = claim.curve
        metric = Cell(f"{curve.card.id} {curve.card.arrow}".strip(), key=curve.card.id)
        values = Cell(" → ".join(map(_value, curve.results.values())))
        verdict = Cell(claim.verdict, mark="best" if claim.verdict == "broken" else "", title=claim.reason)
        rows.append([metric, Cell(f"{curve.damage}: {curve.response_claim}"), values, verdict])
    return Table(columns, rows, caption="Response to damage of increasing strength")


def _value(result: MetricResult) -> str:
    return "–" if result.value is None else f"{result.value:.{result.decimals}f}"


def summary(validation: Validation) -> list[str]:
    """Return one line for each claim that does not hold, and the counts of all verdicts."""
    lines = [
        f"{claim.verdict}: {claim.curve.card.id}, claim '{claim.curve.damage}: {claim.curve.response_claim}': "
        f"{claim.reason}"
        for claim in validation.claims
        if claim.verdict != "holds"
    ]
    counts = {
        verdict: len(validation.with_verdict(verdict))
        for verdict in ("holds", "broken", "unclear", "no value")
    }
    listed = ", ".join(f"{verdict} {count}" for verdict, count in counts.items() if count)
    lines.append(f"{len(validation.claims)} claims: {listed}. All intervals hold jointly at 95 %.")
    if validation.unclaimed:
        lines.append(f"without claims: {', '.join(validation.unclaimed)}")
    return lines


def draw(validation: Validation) -> str:
    """Return the figure as SVG: one panel for each metric, one line for each claimed damage."""
    metrics: dict[str, list[Claim]] = {}
    for claim in validation.claims:
        metrics.setdefault(claim.curve.card.id, []).append(claim)
    rows = -(-len(metrics) // COLUMNS)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(1.95 * COLUMNS, 1.6 * rows + 0.5), layout="constrained")
        panels = figure.subplots(rows, COLUMNS, sharex=True, squeeze=False).ravel()
        for panel, claims in zip(panels, metrics.values(), strict=False):
            _panel(panel, claims)
        for panel in panels[len(metrics) :]:
            panel.set_visible(False)
        figure.supxlabel("strength of the damage", fontsize=8)
        figure.legend(handles=_legend(validation.claims), loc="outside upper center", ncols=5, frameon=False)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def _panel(panel: Axes, claims: Sequence[Claim]) -> None:
    for claim in claims:
        known = [(s, r) for s, r in claim.curve.results.items() if r.value is not None]
        values = [float(r.value or 0.0) for _, r in known]
        below = [
            0.0 if r.low is None else max(v - r.low, 0.0) for v, (_, r) in zip(values, known, strict=True)
        ]
        above = [
            0.0 if r.high is None else max(r.high - v, 0.0) for v, (_, r) in zip(values, known, strict=True)
        ]
        colour, marker = _LOOKS[claim.curve.damage]
        panel.errorbar(
            [strength for strength, _ in known],
            values,
            yerr=[below, above],
            color=colour,
            marker=marker,
            markersize=3,
            linewidth=1,
            elinewidth=0.6,
            linestyle=":" if claim.curve.response_claim == "stays" else "-",
        )
    card = claims[0].curve.card
    broken = [claim.curve.damage for claim in claims if claim.verdict == "broken"]
    panel.set_title(f"{card.id} {card.arrow}".strip(), fontsize=6.5, loc="left")
    panel.set_xticks([0, 0.5, 1])
    if broken:
        panel.set_facecolor("#fdecea")
        panel.set_xlabel(f"broken: {', '.join(broken)}", color="#b3261e", fontsize=6.5)


def _legend(claims: Sequence[Claim]) -> list[Line2D]:
    damages = [damage for damage in _LOOKS if any(claim.curve.damage == damage for claim in claims)]
    lines = [
        Line2D(
            [], [], color=_LOOKS[damage][0], marker=_LOOKS[damage][1], markersize=3, linewidth=1, label=damage
        )
        for damage in damages
    ]
    return [*lines, Line2D([], [], color="0.4", linestyle=":", linewidth=1, label="claimed to stay")]
