"""Column of a leaderboard: values of all models in one metric, with marks and ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from facebench.compare.ranking import Ranking, rank
from facebench.compare.replicates import Estimates, estimates
from facebench.compare.table_row import Row
from facebench.core.tables import Mark
from facebench.evaluation.record import MetricResult


@dataclass(frozen=True)
class RankedColumn:
    """Values of the ranked rows in one metric.

    Attributes:
        metric: metric id.
        first: result of the first row that has the metric, for its title and direction.
        rows: rows that are ranked and have a value.
        estimates: joint errors of these rows; None for published values.
        ranking: the rows, ranked by printed value and joint error.
    """

    metric: str
    first: MetricResult
    rows: list[Row]
    estimates: Estimates | None
    ranking: Ranking

    @classmethod
    def of(cls, metric: str, rows: Sequence[Row], ranked: Sequence[Row]) -> RankedColumn:
        """Rank the rows that have a value.

        Args:
            metric: metric id.
            rows: all rows of the table.
            ranked: rows that are ranked.
        """
        first = next(row.metrics[metric] for row in rows if metric in row.metrics)
        valued = [row for row in ranked if row.value(metric) is not None]
        runs = [(run, place) for place, row in enumerate(valued) for run in row.runs_with(metric)]
        measured = all(row.runs for row in valued) and len(runs) > 0
        joint = None
        if measured:
            joint = estimates(metric, [run for run, _ in runs], [place for _, place in runs])
        values = [row.value(metric) or 0.0 for row in valued] if joint is None else joint.values.tolist()
        sign = -1 if first.better == "lower" else 1
        return cls(metric, first, valued, joint, rank(joint, values, first.decimals, sign))

    @property
    def has_direction(self) -> bool:
        """Whether a direction is better."""
        return self.first.better != "neither"

    def marks(self, block: Sequence[Row]) -> dict[int, Mark]:
        """Return the marks of the rows of a block, by place in the block."""
        places = self._places(block)
        if not self.has_direction or len(places) < 2:
            return {}
        marks = self.ranking.marks(list(places))
        return {places[model]: mark for model, mark in marks.items()}

    def best(self, block: Sequence[Row]) -> list[str]:
        """Return the names of the rows of a block that cannot be distinguished from the best."""
        if not self.has_direction:
            return []
        return [self.rows[model].name for model in self.ranking.best(list(self._places(block)))]

    def ranks(self, block: Sequence[Row]) -> dict[int, str]:
        """Return the ranks of the rows of a block by place, such as "1–3"."""
        places = self._places(block)
        ranks = self.ranking.ranks(list(places))
        return {
            places[model]: str(low) if low == high else f"{low}–{high}"
            for model, (low, high) in ranks.items()
        }

    def sorted(self, block: Sequence[Row]) -> list[Row]:
        """Sort the ranked rows of a block, best first; the other rows follow in their order."""
        places = self._places(block)
        order = sorted(places, key=lambda model: -self.ranking.values[model])
        first = [block[places[model]] for model in order]
        ranked = set(places.values())
        return first + [row for place, row in enumerate(block) if place not in ranked]

    def result(self, row: Row) -> MetricResult | None:
        """Return the result of a row; with several training runs, their mean with its interval."""
        result = row.metrics.get(self.metric)
        place = self._place(row)
        if result is None or place is None or self.estimates is None or len(row.runs_with(self.metric)) < 2:
            return result
        weights = np.zeros(len(self.rows))
        weights[place] = 1.0
        low, high = self.estimates.interval(weights)
        return result.model_copy(
            update={"value": float(self.estimates.values[place]), "low": low, "high": high, "level": 0.95}
        )

    def replicates(self, row: Row) -> str:
        """Describe the training runs of a row: their standard deviation and number; empty for one run."""
        values = [run.metrics[self.metric].value for run in row.runs_with(self.metric)]
        if len(values) < 2:
            return ""
        deviation = float(np.std(np.array(values, dtype=np.float64), ddof=1))
        return f"sd {deviation:.{self.first.decimals}f} of {len(values)} seeds"

    def _place(self, row: Row) -> int | None:
        return self._place_of.get(id(row))

    @cached_property
    def _place_of(self) -> dict[int, int]:
        """Place in this column by the id() of a row; rows are not hashable."""
        return {id(row): place for place, row in enumerate(self.rows)}

    def _places(self, block: Sequence[Row]) -> dict[int, int]:
        """Place in the block by place in this column."""
        found = {self._place(row): place for place, row in enumerate(block)}
        return {model: place for model, place in found.items() if model is not None}
