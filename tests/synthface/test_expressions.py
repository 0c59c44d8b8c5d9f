"""Named expressions and their nominal valence and arousal."""

from __future__ import annotations

import numpy as np
import pytest

from facebench.synthface import FaceModel, head
from facebench.synthface.expressions import EXPRESSIONS, affect, names, psi

UNITS = head.load().expression_names


def test_there_are_eight_expressions() -> None:
    assert names() == ("neutral", "happy", "sad", "angry", "surprised", "afraid", "disgusted", "contempt")


def test_neutral_has_no_activation() -> None:
    assert not psi("neutral").any()
    assert affect("neutral") == (0.0, 0.0)


@pytest.mark.parametrize("name", names()[1:])
def test_units_and_affect_are_linear_in_intensity(name: str) -> None:
    np.testing.assert_allclose(psi(name, 0.5), psi(name) / 2)
    np.testing.assert_allclose(affect(name, 0.5), np.array(affect(name)) / 2)
    assert 0.3 < psi(name).max() <= 1


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_affect_lies_within_the_unit_circle(name: str) -> None:
    assert np.hypot(*affect(name)) <= 1


def test_expressions_follow_the_circumplex() -> None:
    valence = {name: affect(name)[0] for name in names()}
    arousal = {name: affect(name)[1] for name in names()}
    assert max(valence, key=lambda n: valence[n]) == "happy"
    assert all(valence[name] < 0 for name in ("sad", "angry", "afraid", "disgusted", "contempt"))
    assert min(arousal, key=lambda n: arousal[n]) == "sad"
    assert {"surprised", "afraid", "angry"} == set(sorted(arousal, key=lambda n: -arousal[n])[:3])


def test_a_unit_without_side_means_both_sides_and_contempt_is_one_sided() -> None:
    smile = [UNITS.index("mouthSmileLeft"), UNITS.index("mouthSmileRight")]
    happy, contempt = psi("happy")[smile], psi("contempt")[smile]
    assert happy[0] == happy[1] > 0
    assert contempt[0] > contempt[1] == 0


def test_sampled_faces_have_the_affect_of_their_expression() -> None:
    faces = FaceModel().sample(16, seed=0, images=8)
    shown = [names()[i] for i in faces.expression]
    assert shown == list(names()) * 2
    expected = [affect(name, float(level)) for name, level in zip(shown, faces.intensity, strict=True)]
    np.testing.assert_allclose(faces.affect, expected, atol=1e-6)
    built = [psi(name, float(level)) for name, level in zip(shown, faces.intensity, strict=True)]
    assert np.abs(faces.psi - built).max() < 0.45  # gaze and lids vary slightly
