"""Golden of the authors' package, sixdrepnet 0.1.6; see its manifest."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from facebench.backbones import build
from facebench.backbones.headpose import euler_degrees, rotation
from facebench.core.errors import WeightsError
from tests.helpers.golden_networks import Golden, answers, scaled

GOLDEN = Golden("headpose")
ANGLES = ("yaw", "pitch", "roll")


@pytest.fixture(scope="module")
def merged() -> dict[str, torch.Tensor]:
    return GOLDEN.state("parameters merged")


def branched() -> dict[str, torch.Tensor]:
    endings = (".bn.weight", "rbr_identity.weight")
    return scaled(GOLDEN.state("parameters branched"), 0.55, lambda key, _: key.endswith(endings))


def angles_agree(actual: dict[str, np.ndarray], kind: str, rows: int) -> None:
    for name in ANGLES:
        np.testing.assert_allclose(actual[name], GOLDEN[f"{kind}.{name}"][:rows], rtol=0, atol=0.01)


def test_the_merged_network_equals_the_authors_package(merged: dict[str, torch.Tensor]) -> None:
    backbone = build("headpose", merged)
    angles_agree(answers(backbone, GOLDEN.images(3)), "merged", 3)


def test_the_branched_network_equals_the_authors_package() -> None:
    backbone = build("headpose", {"model_state_dict": branched()})
    angles_agree(answers(backbone, GOLDEN.images(2)), "branched", 2)


def test_whole_images_with_a_border_equal_id_booths_evaluation(merged: dict[str, torch.Tensor]) -> None:
    backbone = build("headpose-id-booth", merged)
    assert backbone.crop == "image"
    x = backbone.preprocess(GOLDEN.images(1)[0])
    np.testing.assert_allclose(x[:, ::8, ::8], GOLDEN["input.border_first"][0], atol=1e-6)
    angles_agree(answers(backbone, GOLDEN.images(2)), "merged.border", 2)


def test_the_shorter_side_is_resized_and_the_centre_cropped(merged: dict[str, torch.Tensor]) -> None:
    backbone = build("headpose", merged)
    image = GOLDEN.images(1)[0]
    width = image.shape[1]
    views = {
        "first": image,
        "oblong": image[:, 20 : width - 30],
        "tall": image[5:, 40 : width - 61],
    }
    for name, view in views.items():
        x = backbone.preprocess(view)
        assert x.shape == (3, 224, 224)
        np.testing.assert_allclose(x[:, ::8, ::8], GOLDEN[f"input.{name}"][0], atol=1e-6)


def turned(yaw: float, pitch: float, roll: float) -> torch.Tensor:
    def about(axis: int, degrees: float) -> torch.Tensor:
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        matrix = torch.eye(3, dtype=torch.float64)
        matrix[i, i] = matrix[j, j] = c
        matrix[i, j], matrix[j, i] = -s, s
        return matrix

    return (about(2, roll) @ about(1, yaw) @ about(0, pitch))[None]


@pytest.mark.parametrize("angles", [(20.0, -10.0, 5.0), (-80.0, 60.0, 170.0), (0.0, 0.0, -45.0)])
def test_the_angles_of_a_known_rotation_are_recovered(angles: tuple[float, float, float]) -> None:
    actual = euler_degrees(turned(*angles))
    np.testing.assert_allclose([float(actual[name]) for name in ANGLES], angles, atol=1e-9)


def test_at_gimbal_lock_roll_is_zero_and_pitch_contains_both() -> None:
    actual = euler_degrees(turned(90.0, 25.0, 0.0))
    np.testing.assert_allclose([float(actual[name]) for name in ANGLES], (90, 25, 0), atol=1e-6)


def test_six_numbers_give_a_rotation_of_any_scale() -> None:
    six = torch.randn(5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    r = rotation(six)
    identity = torch.eye(3, dtype=torch.float64).expand(5, 3, 3)
    torch.testing.assert_close(r @ r.transpose(1, 2), identity)
    torch.testing.assert_close(torch.linalg.det(r), torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(rotation(10 * six), r)
    recorded = {name: torch.from_numpy(GOLDEN[f"merged.{name}"]) for name in ("six", "rotation")}
    torch.testing.assert_close(rotation(recorded["six"]), recorded["rotation"])


def test_a_checkpoint_of_another_network_is_refused_with_its_first_wrong_key(
    merged: dict[str, torch.Tensor],
) -> None:
    cut = {key: value for key, value in merged.items() if not key.startswith("layer3.7")}
    with pytest.raises(WeightsError, match=r"lack 'layer3\.7\.rbr_reparam\.weight'"):
        build("headpose", cut)
    with pytest.raises(WeightsError, match=r"'linear_reg\.weight' has shape \(3, 2048\)"):
        build("headpose", merged | {"linear_reg.weight": torch.zeros(3, 2048)})
