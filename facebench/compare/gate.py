"""The gate: is this run worse than the baseline, by the rules?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from facebench.compare.difference import Change, change
from facebench.compare.gate_rules import Rule, Rules, read_rules
from facebench.compare.leaderboard import differences
from facebench.core.errors import InputError
from facebench.core.tables import Cell, Column, Table
from facebench.evaluation.record import MetricResult, Run, load_run

Status = Literal["passed", "failed", "not judged"]
_SIGNS = {"passed": "✓", "failed": "✗", "not judged": "–"}


@dataclass(frozen=True)
class CheckRow:
    """One metric: what was compared, by which rule, and what came out.

    Attributes:
        metric: its id.
        result: the run's result; None when the run does not have the metric.
        expected: the baseline's result; None when the baseline does not have it.
        change: run minus baseline; None when one of them has no value.
        rule: the rule in words.
        status: "passed", "failed" or "not judged".
        reason: why it failed and by how much, or why it was not judged.
    """

    metric: str
    result: MetricResult | None
    expected: MetricResult | None
    change: Change | None
    rule: str
    status: Status
    reason: str = ""


@dataclass(frozen=True)
class CheckReport:
    """What the gate found: one row per metric.

    Attributes:
        run: name of the run.
        baseline: name of the baseline.
        protocol: of both.
        rows: in the order of the protocol.
    """

    run: str
    baseline: str
    protocol: str
    rows: tuple[CheckRow, ...]

    @property
    def failed(self) -> list[CheckRow]:
        """The rows that failed."""
        return [row for row in self.rows if row.status == "failed"]

    @property
    def passed(self) -> bool:
        """Whether no rule failed."""
        return not self.failed

    @property
    def summary(self) -> str:
        """One line: how many metrics were judged and how many failed."""
        judged = sum(row.status != "not judged" for row in self.rows)
        outcome = "passed" if self.passed else "failed"
        return f"{outcome}: {len(self.failed)} of {judged} judged metrics are worse than the rules allow"

    def table(self) -> Table:
        """Failed rows first; what failed and by how much in the notes."""
        columns = [
            Column("metric", "Metric", numeric=False),
            Column("baseline", "Baseline"),
            Column("run", "Run"),
            Column("change", "Change"),
            Column("rule", "Rule", numeric=False),
            Column("status", "Result", numeric=False),
        ]
        order = sorted(self.rows, key=lambda row: row.status != "failed")
        notes = [f"✗ {row.metric}: {row.reason}" for row in self.failed]
        notes += [f"– {row.metric}: {row.reason}" for row in self.rows if row.status == "not judged"]
        caption = f"{self.run} against the baseline {self.baseline} · {self.protocol}"
        return Table(columns, [_cells(row) for row in order], caption=caption, notes=notes)


def check(
    run: Run | str | Path,
    baseline: Run | str | Path,
    rules: Rules | Mapping[str, Any] | str | Path | None = None,
) -> CheckReport:
    """Compare a run with a baseline and say whether it got worse.

    Args:
        run: a run, its folder or its record.
        baseline: likewise.
        rules: YAML file, mapping or `Rules`. Without: no metric that has a better direction may be worse than
            the baseline beyond the interval of the difference. A metric that the baseline has a value for and
            the run has not fails whatever the rules say.

    Returns:
        A report with `.passed`, `.rows`, `.failed` and `.table()`.

    Raises:
        InputError: a record or the rules cannot be read, or the records may not be compared.

    Example:
        >>> import facebench
        >>> facebench.check("runs/today", "results/baselines/quality.json").passed  # doctest: +SKIP
        True
    """
    run, baseline = _loaded(run), _loaded(baseline)
    reasons = differences(baseline, run)
    if reasons:
        raise InputError(
            f"{run.name} may not be compared with the baseline {baseline.name}: {'; '.join(reasons)}. "
            "Measure both alike, or make this run the baseline with --update."
        )
    known = list(dict.fromkeys([*baseline.metrics, *run.metrics]))
    found = read_rules(rules, known)
    rows = tuple(_judge(metric, run, baseline, found) for metric in known)
    return CheckReport(run.name, baseline.name, run.protocol, rows)


def _loaded(run: Run | str | Path) -> Run:
    return run if isinstance(run, Run) else load_run(run)


def _judge(metric: str, run: Run, baseline: Run, rules: Rules) -> CheckRow:
    new, old = run.metrics.get(metric), baseline.metrics.get(metric)
    either = new or old
    assert either is not None
    rule = rules.of(metric, either.better)
    moved = change(metric, run, baseline)
    status, reason = _outcome(rule, new, old, moved)
    return CheckRow(metric, new, old, moved, _words(rule, either), status, reason)


def _outcome(
    rule: Rule, new: MetricResult | None, old: MetricResult | None, moved: Change | None
) -> tuple[Status, str]:
    had_value = old is not None and old.value is not None
    if new is None or new.value is None:
        why = "the run does not have it" if new is None else f"the run has no value: {new.reason}"
        if had_value or rule.min is not None or rule.max is not None:
            return "failed", why
        return "not judged", why
    failures = [*_outside(rule, new), *(_worse(rule, new, moved) if moved is not None else [])]
    if failures:
        return "failed", "; ".join(failures)
    if not rule.judges:
        return "not judged", "neither direction is better" if new.better == "neither" else "only shown"
    if rule.compares and not had_value:
        return "not judged", "the baseline has no value to compare with"
    return "passed", ""


def _outside(rule: Rule, new: MetricResult) -> list[str]:
    """Absolute bounds that the value breaks, and by how much."""
    assert new.value is not None
    found = []
    if rule.min is not None and new.value < rule.min:
        found.append(
            f"{_number(new.value, new)} is {_number(rule.min - new.value, new)} below the minimum {rule.min:g}"
        )
    if rule.max is not None and new.value > rule.max:
        found.append(
            f"{_number(new.value, new)} is {_number(new.value - rule.max, new)} above the maximum {rule.max:g}"
        )
    return found


def _worse(rule: Rule, new: MetricResult, moved: Change) -> list[str]:
    """Bounds on the change that it breaks, and by how much."""
    assert new.value is not None
    by = moved.worsening(new.better)
    word = "changed" if new.better == "neither" else "worse"
    found = []
    if rule.change is not None and by > rule.change:
        found.append(f"{word} by {_number(by, new)}, at most {rule.change:g} is allowed")
    if rule.relative is not None:
        old = abs(new.value - moved.value)
        if by > rule.relative * old:
            share = f"{by / old:.1%}" if old else f"{_number(by, new)} from zero"
            found.append(f"{word} by {share}, at most {rule.relative:.1%} is allowed")
    if rule.interval and moved.verdict(new.better) in ("worse", "changed"):
        interval = f"[{_number(moved.low, new)}, {_number(moved.high, new)}]"
        found.append(f"{word} by {_number(by, new)}, interval of the difference {interval}, {moved.method}")
    return found


def _words(rule: Rule, result: MetricResult) -> str:
    """The rule in a few words."""
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
    moved = Cell("–")
    either = row.result or row.expected
    if row.change is not None and either is not None:
        interval = f"[{_number(row.change.low, either)}, {_number(row.change.high, either)}]"
        moved = Cell(
            f"{row.change.value:+.{either.decimals}f}",
            row.change.value,
            small=interval,
            title=row.change.method,
        )
    return [
        Cell(f"{row.metric} {either.arrow if either else ''}".strip()),
        _value(row.expected),
        _value(row.result),
        moved,
        Cell(row.rule),
        Cell(
            f"{_SIGNS[row.status]} {row.status}",
            title=row.reason,
            mark="best" if row.status == "failed" else "",
        ),
    ]


def _value(result: MetricResult | None) -> Cell:
    if result is None or result.value is None:
        return Cell("–", title="" if result is None else result.reason)
    return Cell(_number(result.value, result), result.value)


def _number(value: float, result: MetricResult) -> str:
    """As many decimals as the metric has, and more where they would hide a difference."""
    text = f"{value:.{result.decimals}f}"
    return text if value == 0 or float(text) != 0 else f"{value:.2g}"
