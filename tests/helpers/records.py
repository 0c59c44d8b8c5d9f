"""Small run records for tests."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from facebench.core.version import __version__
from facebench.evaluation.cards import find_card
from facebench.evaluation.record import BackboneRecord, InputRecord, MetricResult, Run, Version


def make_run(name: str, *, images: int = 2000, reference: str = "r" * 64, **values: float | None) -> Run:
    """A record with the given metric values, each with an interval of ±10 %."""
    metrics = {metric: make_result(metric, value, images) for metric, value in values.items()}
    return Run(
        facebench=Version(version=__version__),
        created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
        name=name,
        protocol="quality",
        suite="compact",
        inputs={
            "generated": make_input(name, images),
            "reference": make_input("reference", 2000, digest=reference),
        },
        backbones={
            "lite0": BackboneRecord(
                weights="lite0", sha256="w" * 64, licence="Apache-2.0", verified=True, preprocessing="p-v1"
            )
        },
        environment={"python": "3.11"},
        seed=0,
        metrics=metrics,
    )


def make_result(metric: str, value: float | None, n: int = 2000, **change: Any) -> MetricResult:
    """A result with the fields of the card of the metric."""
    card = find_card(metric)
    interval: dict[str, Any] = (
        {}
        if value is None
        else {"low": value - 0.1 * abs(value), "high": value + 0.1 * abs(value), "level": 0.95}
    )
    content: dict[str, Any] = {
        "title": card.title,
        "value": value,
        "method": "jackknife",
        "n": {"generated": n},
        "better": card.better,
        "decimals": card.decimals,
        "depends_on_n": card.depends_on_n,
        "backbone": card.reads.backbone,
        "reason": "" if value is not None else "needs a reference set",
    }
    return MetricResult(**{**content, **interval, **change})


def make_input(name: str, images: int, digest: str = "d" * 64) -> InputRecord:
    """An image set of a given size."""
    return InputRecord(path=f"/data/{name}", kind="folder", digest=digest, images=images)
