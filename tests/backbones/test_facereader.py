"""FaceReader recovers the parameters of rendered faces."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from facebench import backbones
from facebench.backbones.face_detection import FaceFinder, align
from facebench.core.errors import InputError
from facebench.synthface import FaceModel


@pytest.fixture(scope="module")
def faces() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    model, finder = FaceModel(), FaceFinder()
    # Another seed than in training, so other people.
    parameters = model.sample(48, seed=99, images=8)
    reader = backbones.build("facereader")
    crops = [align(image, finder.find(image).landmarks) for image in model.render(parameters, 128)]
    return parameters, reader.embed(torch.stack([reader.preprocess(crop) for crop in crops]))


def test_valence_arousal_and_expression_are_predicted(faces: tuple) -> None:
    parameters, read = faces
    for column, name in enumerate(("valence", "arousal")):
        assert np.corrcoef(read[name], parameters.affect[:, column])[0, 1] > 0.85
    strong = parameters.intensity > 0.5
    assert (read["expression"].argmax(axis=1) == parameters.expression)[strong].mean() > 0.8


def test_shape_codes_of_one_person_are_closer_than_those_of_two(faces: tuple) -> None:
    parameters, read = faces
    apart = np.linalg.norm(read["shape"][:, None] - read["shape"][None], axis=2)
    same = parameters.identity[:, None] == parameters.identity[None]
    other = ~np.eye(len(apart), dtype=bool)
    assert apart[same & other].mean() < 0.75 * apart[~same].mean()


def test_arrays_have_the_documented_shapes(faces: tuple) -> None:
    _, read = faces
    assert {name: values.shape[1:] for name, values in read.items()} == {
        "expression": (8,),
        "valence": (),
        "arousal": (),
        "exp": (52,),
        "shape": (30,),
        "pose": (3,),
    }


def test_only_aligned_crops_are_accepted() -> None:
    with pytest.raises(InputError, match="aligned crops of 112 x 112"):
        backbones.build("facereader").preprocess(np.zeros((64, 64, 3), np.uint8))
