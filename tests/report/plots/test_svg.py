"""Colours of the charts, as people with any colour vision see them."""

from __future__ import annotations

import itertools
import re

import pytest

from facebench.report.plots.svg import RUN_COLOURS
from tests.helpers.colour_vision import VISION, contrast, seen_distance
from tests.helpers.paths import REPOSITORY

TEMPLATES = REPOSITORY / "facebench"
SMALLEST_DISTANCE = 0.075
"""Smallest distance in Oklab; two colours side by side differ from 0.02 on."""


def colours(scheme: str) -> dict[str, str]:
    """Colours of the report by name, in the light or the dark scheme."""
    found: dict[str, str] = {}
    for file in ("core/templates/style.css", "report/pages/templates/report.css"):
        light, dark = (TEMPLATES / file).read_text(encoding="utf-8").split("@media", 1)
        for part in (light, dark)[: 1 + (scheme == "dark")]:
            block = part[part.index(":root") :].split("}", 1)[0]
            found.update(re.findall(r"--(\w+): (#\w+)", block))
    return found


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_runs_and_references_differ_in_every_colour_vision(scheme: str, vision: str) -> None:
    every = colours(scheme)
    names = [f"run{index}" for index in range(RUN_COLOURS)] + [f"reference{index}" for index in range(3)]
    near = {
        pair: distance
        for pair in [*itertools.combinations(names, 2), ("good", "bad")]
        if (distance := seen_distance(every[pair[0]], every[pair[1]], vision)) < SMALLEST_DISTANCE
    }
    assert near == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_of_runs_and_verdicts_stand_out_from_the_page(scheme: str) -> None:
    every = colours(scheme)
    for paper in ("paper", "soft"):
        for name in ("good", "bad", *(f"run{index}" for index in range(RUN_COLOURS))):
            assert contrast(every[name], every[paper]) >= 3, (name, paper)


def test_the_simulation_knows_a_pair_that_deuteranopes_confuse() -> None:
    assert seen_distance("#d40000", "#7a6a00", "normal") > 3 * seen_distance(
        "#d40000", "#7a6a00", "deuteranopia"
    )
