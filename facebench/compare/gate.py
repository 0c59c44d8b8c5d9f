"""The gate: whether a run is worse than a baseline, by rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from facebench.compare.comparability import SIZE_TOLERANCE, reasons_not_comparable
from facebench.compare.difference import Difference, difference
from facebench.compare.gate_rules import Rule, Rules, read_rules
from facebench.core.errors import InputError
from facebench.core.tables import Cell, Column, Table
from facebench.evaluation.record import MetricResult, Run, load_run

Status = Literal["passed", "failed", "not judged"]
_SYMBOLS = {"passed": "✓", "failed": "✗", "not judged": "–"}


@dataclass(frozen=True)
class CheckRow:
    """Outcome for one metric.

    Attributes:
        metric: id of the metric.
        result: result of the run; None when the run does not have the metric.
        expected: result of the baseline; None when the baseline does not have the metric.
        change: run minus baseline; None when one of them has no value.
        rule: the rule in words.
        status: "passed", "failed" or "not judged".
        reason: why the metric failed and by how much, or why it was not judged.
    """

    metric: str
    result: MetricResult | None
    expected: MetricResult | None
    change: Difference | None
    rule: str
    status: Status
    reason: str = ""


@dataclass(frozen=True)
class CheckReport:
    """Outcome of the gate.

    Attributes:
        run: name of the run.
        baseline: name of the baseline.
        protocol: protocol of both.
        rows: one row per metric, in the order of the protocol.
        coverage_notes: metrics that are computed from a smaller share of the images than in the baseline, such as
            after the loss of faces.
    """

    run: str
    baseline: str
    protocol: str
    rows: tuple[CheckRow, ...]
    coverage_notes: tuple[str, ...] = ()

    @property
    def failed(self) -> list[CheckRow]:
        """Rows that failed."""
        return [row for row in self.rows if row.status == "failed"]

    @property
    def passed(self) -> bool:
        """Whether no rule failed."""
        return not self.failed

    @property
    def summary(self) -> str:
        """One line with the numbers of judged and failed metrics."""
        judged = sum(row.status != "not judged" for row in self.rows)
        outcome = "passed" if self.passed else "failed"
        return f"{outcome}: {len(self.failed)} of {judged} judged metrics are worse than the rules allow"

    def table(self) -> Table:
        """Build the table: failed rows first, reasons in the notes."""
        columns = [
            Column("metric", "Metric", numeric=False),
            Column("baseline", "Baseline"),
            Column("run", "Run"),
            Column("change", "Change"),
            Column("rule", "Rule", numeric=False),
            Column("status", "Result", numeric=False),
        ]
        rows = sorted(self.rows, key=lambda row: row.status != "failed")
        notes = [f"✗ {row.metric}: {row.reason}" for row in self.failed]
        notes += [f"– {row.metric}: {row.reason}" for row in self.rows if row.status == "not judged"]
        notes += [f"! {note}" for note in self.coverage_notes]
        caption = f"{self.run} against the baseline {self.baseline} · {self.protocol}"
        return Table(columns, [_cells(row) for row in rows], caption=caption, notes=notes)


def check(
    run: Run | str | Path,
    baseline: Run | str | Path,
    rules: Rules | Mapping[str, Any] | str | Path | None = None,
) -> CheckReport:
    """Compare a run with a baseline and judge every metric by the rules.

    Args:
        run: a run, its folder, or its record file.
        baseline: a run, its folder, or its record file.
        rules: YAML file, mapping or `Rules`. By default no metric that has a better direction may be worse than
            the baseline beyond the interval of the difference. A metric without a value in the run fails under
            any rules when the baseline has a value.

    Returns:
        A report with `.passed`, `.rows`, `.failed` and `.table()`.

    Raises:
        InputError: a record or the rules cannot be read, or the records are not comparable.

    Example:
        >>> import facebench
        >>> facebench.check("runs/today", "results/baselines/quality.json").passed  # doctest: +SKIP
        True
    """
    run, baseline = _load(run), _load(baseline)
    reasons = reasons_not_comparable(baseline, run)
    if reasons:
        raise InputError(
            f"{run.name} is not comparable with the baseline {baseline.name}: {'; '.join(reasons)}. "
            "Evaluate both in the same way, or make this run the baseline with --update."
        )
    metrics = list(dict.fromkeys([*baseline.metrics, *run.metrics]))
    read = read_rules(rules, metrics)
    rows = tuple(_judge(metric, run, baseline, read) for metric in metrics)
    return CheckReport(run.name, baseline.name, run.protocol, rows, _coverage_notes(run, baseline))


def _load(run: Run | str | Path) -> Run:
    return run if isinstance(run, Run) else load_run(run)


def _judge(metric: str, run: Run, baseline: Run, rules: Rules) -> CheckRow:
    new, old = run.metrics.get(metric), baseline.metrics.get(metric)
    available = new or old
    assert available is not None
    rule = rules.of(metric, available.better)
    change = difference(metric, run, baseline)
    status, reason = _outcome(rule, new, old, change)
    return CheckRow(metric, new, old, change, _describe(rule, available), status, reason)


def _outcome(
    rule: Rule, new: MetricResult | None, old: MetricResult | None, change: Difference | None
) -> tuple[Status, str]:
    had_value = old is not None and old.value is not None
    if new is None or new.value is None:
        reason = "the run does not have it" if new is None else f"the run has no value: {new.reason}"
        required = had_value or rule.min is not None or rule.max is not None
        return ("failed" if required else "not judged"), reason
    failures = _bound_failures(rule, new)
    if change is not None:
        failures += _change_failures(rule, new, change)
    if failures:
        return "failed", "; ".join(failures)
    if not rule.judges:
        return "not judged", "neither direction is better" if new.better == "neither" else "shown only"
    if rule.compares and not had_value:
        return "not judged", "the baseline has no value to compare with"
    return "passed", ""


def _bound_failures(rule: Rule, new: MetricResult) -> list[str]:
    """Absolute bounds that the value violates, and by how much."""
    assert new.value is not None
    value, failures = _number(new.value, new), []
    if rule.min is not None and new.value < rule.min:
        failures.append(f"{value} is {_number(rule.min - new.value, new)} below the minimum {rule.min:g}")
    if rule.max is not None and new.value > rule.max:
        failures.append(f"{value} is {_number(new.value - rule.max, new)} above the maximum {rule.max:g}")
    return failures


def _change_failures(rule: Rule, new: MetricResult, change: Difference) -> list[str]:
    """Bounds on the change that it violates, and by how much."""
    assert new.value is not None
    worsening = change.worsening(new.better)
    word = "changed" if new.better == "neither" else "worse"
    failures = []
    if rule.change is not None and worsening > rule.change:
        failures.append(f"{word} by {_number(worsening, new)}, at most {rule.change:g} is allowed")
    if rule.relative is not None:
        old = abs(new.value - change.value)
        if worsening > rule.relative * old:
            share = f"{worsening / old:.1%}" if old else f"{_number(worsening, new)} from zero"
            failures.append(f"{word} by {share}, at most {rule.relative:.1%} is allowed")
    if rule.interval and change.verdict(new.better) in ("worse", "changed"):
        interval = f"[{_number(change.low, new)}, {_number(change.high, new)}]"
        failures.append(
            f"{word} by {_number(worsening, new)}, interval of the difference {interval}, {change.method}"
        )
    return failures


def _coverage_notes(run: Run, baseline: Run) -> tuple[str, ...]:
    """Name the metrics that are computed from a smaller share of the images than in the baseline.

    A metric over the images with a face can improve when difficult faces are no longer found.
    """
    images, old_images = run.inputs["generated"].images, baseline.inputs["generated"].images
    metrics: dict[tuple[int, int], list[str]] = {}
    for metric, result in run.metrics.items():
        expected = baseline.metrics.get(metric)
        if expected is None or result.value is None or expected.value is None:
            continue
        used, old_used = result.n.get("generated"), expected.n.get("generated")
        if used is None or old_used is None or not images or not old_images:
            continue
        if used / images < old_used / old_images - SIZE_TOLERANCE:
            metrics.setdefault((used, old_used), []).append(metric)
    return tuple(
        f"computed from {used} of {images} images, in the baseline from {old_used} of {old_images}: {', '.join(ids)}"
        for (used, old_used), ids in metrics.items()
    )


def _describe(rule: Rule, result: MetricResult) -> str:
    """The rule in words."""
    worse = "changed" if result.better == "neither" else "worse"
    parts = [
        rule.min is not None and f"≥ {rule.min:g}",
        rule.max is not None and f"≤ {rule.max:g}",
        rule.change is not None and f"{worse} ≤ {rule.change:g}",
        rule.relative is not None and f"{worse} ≤ {rule.relative:.1%}",
        rule.interval and "interval",
    ]
    return ", ".join(part for part in parts if part) or "shown only"


def _cells(row: CheckRow) -> list[Cell]:
    available = row.result or row.expected
    return [
        Cell(f"{row.metric} {available.arrow if available else ''}".strip()),
        _value(row.expected),
        _value(row.result),
        _change_cell(row, available),
        Cell(row.rule),
        Cell(
            f"{_SYMBOLS[row.status]} {row.status}",
            title=row.reason,
            mark="best" if row.status == "failed" else "",
        ),
    ]


def _change_cell(row: CheckRow, result: MetricResult | None) -> Cell:
    change = row.change
    if change is None or result is None:
        return Cell("–")
    interval = f"[{_number(change.low, result)}, {_number(change.high, result)}]"
    text = f"{change.value:+.{result.decimals}f}"
    return Cell(text, change.value, small=interval, title=change.method)


def _value(result: MetricResult | None) -> Cell:
    if result is None or result.value is None:
        return Cell("–", title="" if result is None else result.reason)
    return Cell(_number(result.value, result), result.value)


def _number(value: float, result: MetricResult) -> str:
    """Format with the decimals of the metric, or two significant digits where these would show zero."""
    text = f"{value:.{result.decimals}f}"
    return text if value == 0 or float(text) != 0 else f"{value:.2g}"
