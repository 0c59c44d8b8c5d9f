"""Yaw from five landmarks, on rendered faces of known yaw."""

from __future__ import annotations

import numpy as np

from facebench.backbones import detector
from facebench.backbones.landmark_yaw import landmark_yaw
from facebench.synthface import FaceModel


def test_the_yaw_of_rendered_faces_is_found() -> None:
    model = FaceModel()
    parameters = model.sample(24, seed=5)
    images = model.render(parameters, 128)
    finder = detector("yunet")
    found = [(finder.find(image), yaw) for image, yaw in zip(images, parameters.pose[:, 0], strict=True)]
    angles = np.array([(landmark_yaw(face.landmarks), yaw) for face, yaw in found if face is not None])
    assert len(angles) >= 20
    assert np.abs(angles[:, 0] - angles[:, 1]).mean() < 5
    assert np.corrcoef(angles.T)[0, 1] > 0.9


def test_rotation_and_size_of_the_image_do_not_matter_and_coinciding_points_have_no_yaw() -> None:
    points = np.array([[-1, 0], [1, 0], [0.6, 1], [-1, 2], [1, 2]], dtype=np.float64)
    turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
    assert np.isclose(landmark_yaw(7 * points @ turn + 3), 30.0)
    assert np.isnan(landmark_yaw(np.zeros((5, 2))))
