"""Sampling units of a per-image table: people, sources, targets, crossed ones, or images."""

from __future__ import annotations

import pandas as pd
import pytest

from facebench.compare.sampling_units import sampling_units


def table(**columns: list[str | None]) -> pd.DataFrame:
    count = len(next(iter(columns.values())))
    return pd.DataFrame({"role": "generated", "image": [f"{i}.png" for i in range(count)], **columns})


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ({"expression": ["a", "a", "b", "b"]}, "images"),
        ({"identity": ["a", "a", "b", "b"]}, "identities"),
        ({"identity": ["a", "a", "a", "a"]}, "images"),
        ({"identity": ["a", "b", "c", "d"]}, "images"),
        ({"source": ["s", "s", "t", "t"]}, "sources"),
        ({"source": ["s", "s", "t", "t"], "target": ["x", "y", "x", "y"]}, "sources × targets"),
        ({"source": ["s", "s", "t", "t"], "target": ["x", "x", "y", "y"]}, "sources"),
        (
            {"identity": ["a"] * 4 + ["b"] * 4, "source": ["s", "s", "t", "t", "u", "u", "v", "v"]},
            "identities",
        ),
        ({"identity": ["a", "a", "b", "b"], "source": ["a", "a", "b", "b"]}, "identities"),
    ],
)
def test_the_unit_is_what_repeats_and_does_not_lie_within_another_unit(
    columns: dict[str, list[str | None]], name: str
) -> None:
    assert sampling_units(table(**columns)).name == name


def test_the_recorded_unit_is_used_if_the_table_has_it() -> None:
    rows = table(identity=["a", "a", "b", "b"], target=["x", "y", "x", "y"])
    assert sampling_units(rows, "image").name == "images"
    assert sampling_units(rows, "target").name == "targets"
    assert sampling_units(rows, "source").name == "identities × targets"


def test_an_image_without_a_label_is_a_unit_of_its_own() -> None:
    labels = sampling_units(table(identity=["a", "a", "b", "b", None])).labels["identity"]
    assert labels.nunique() == 3
