from __future__ import annotations

import numpy as np
import pytest

from facebench.core.errors import InputError
from facebench.metrics.units import Units


def test_people_with_many_images_reduce_the_effective_number() -> None:
    assert Units.of(["a", "b", "c"] * 4).effective == pytest.approx(3)
    assert Units.of(["a"] * 97 + ["b", "c", "d"]).effective < 1.1


def test_a_crossed_design_is_as_strong_as_its_weaker_factor() -> None:
    source, target = (each.ravel() for each in np.indices((30, 4)))
    units = Units.of(source, target)
    assert (units.kind, units.effective) == ("source × target", pytest.approx(4))
    assert "4 targets, below 50" in units.note


def test_equal_names_give_equal_groups_and_digests() -> None:
    first, second = Units.of(["b", "a", "c"]), Units.of(["c", "b", "a"])
    assert first.digest == second.digest
    assert first.digest != Units.of(["a", "b", "d"]).digest
    groups = {name: int(g) for name, g in zip("bac", first.deal(3, 1)[0], strict=True)}
    assert groups == {name: int(g) for name, g in zip("cba", second.deal(3, 1)[0], strict=True)}


def test_all_rows_of_a_unit_are_drawn_together() -> None:
    weights = Units.of(np.repeat(np.arange(8), 3)).draw(np.random.default_rng(0)).reshape(8, 3)
    assert np.array_equal(weights, np.repeat(weights[:, :1], 3, axis=1))
    assert weights[:, 0].sum() == 8


def test_labels_of_different_length_are_refused() -> None:
    with pytest.raises(InputError, match="one length"):
        Units.of(["a", "b"], ["x"])
