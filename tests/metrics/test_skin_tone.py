from __future__ import annotations

import ast

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facebench.core.errors import InputError
from facebench.metrics import skin_tone
from facebench.metrics.skin_tone import individual_typology_angle, srgb_to_lab, tone_class
from tests.helpers.metric_inputs import NewGolden, few

COLOURS = NewGolden().case("ita_colours")


@pytest.mark.parametrize("colour", COLOURS)
def test_golden(colour: str) -> None:
    pixel = np.array([ast.literal_eval(colour)])
    expected = COLOURS[colour]
    assert srgb_to_lab(pixel)[0] == pytest.approx(expected["own_L_a_b"], abs=1e-9)
    assert skin_tone(pixel).ita == pytest.approx(expected["own_ita_atan"], abs=1e-9)


@few
@given(st.integers(0, 1000))
def test_lab_is_near_that_of_opencv(seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (50, 3))
    expected = cv2.cvtColor((pixels[None] / 255).astype(np.float32), cv2.COLOR_RGB2LAB)[0]
    # OpenCV 5 interpolates a table: up to 0.2 in L* and a few tenths in a* and b*.
    assert np.abs(srgb_to_lab(pixels) - expected).max() < 1.0


def test_trimming_removes_shadow_and_highlight() -> None:
    skin = np.tile([224, 172, 105], (90, 1))
    dirty = np.concatenate([skin, np.zeros((5, 3), dtype=int), np.full((5, 3), 255)])
    assert skin_tone(dirty) == skin_tone(skin)


@few
@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=20), st.integers(0, 100))
def test_it_does_not_depend_on_order(pixels: list[tuple[int, int, int]], seed: int) -> None:
    rows = np.array(pixels)
    tone = skin_tone(rows)
    shuffled = skin_tone(np.random.default_rng(seed).permutation(rows))
    assert shuffled.lightness == pytest.approx(tone.lightness, abs=1e-9)
    assert -90.0 <= tone.ita <= 90.0
    assert 0.0 <= tone.lightness <= 100.0 + 1e-9


def test_lighter_skin_has_a_larger_angle() -> None:
    tones = [skin_tone(np.array([[level, 0.8 * level, 0.6 * level]])).ita for level in (80, 140, 200, 250)]
    assert tones == sorted(tones)
    assert [tone_class(tone) for tone in (56, 55, 42, 41, 30, 11, 10, 0, -30, -60)] == [
        "very light",
        "light",
        "light",
        "intermediate",
        "intermediate",
        "tan",
        "brown",
        "brown",
        "dark",
        "dark",
    ]


def test_grey_pixels_have_a_defined_angle() -> None:
    assert individual_typology_angle(60.0, 0.0) == 90.0
    assert individual_typology_angle(40.0, 0.0) == -90.0
    assert individual_typology_angle(50.0, 0.0) == 0.0


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match=r"\(n, 3\)"):
        skin_tone(np.zeros((4, 4, 3)))
    with pytest.raises(InputError, match=r"\(n, 3\)"):
        skin_tone(np.zeros((0, 3)))
    with pytest.raises(InputError, match="between 0 and 255"):
        skin_tone(np.array([[300, 0, 0]]))
    with pytest.raises(InputError, match="between 0 and 255"):
        skin_tone(np.array([[np.nan, 0, 0]]))
