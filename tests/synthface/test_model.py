from __future__ import annotations

import numpy as np
import pytest

from facebench.core.errors import InputError
from facebench.synthface import Buffers, FaceModel, Parameters, geometry, head
from facebench.synthface.expressions import psi
from facebench.synthface.raster import rasterise

MODEL = FaceModel()


@pytest.fixture(scope="module")
def plain() -> Parameters:
    """One face without expression, turned straight to the camera."""
    face = MODEL.sample(1, seed=4)
    return face.but(psi=np.zeros_like(face.psi), pose=np.zeros_like(face.pose))


def unit(name: str) -> int:
    return head.load().expression_names.index(name)


def with_units(face: Parameters, **values: float) -> Parameters:
    changed = face.psi.copy()
    for name, value in values.items():
        changed[:, unit(name)] = value
    return face.but(psi=changed)


def test_the_head_has_the_published_sizes() -> None:
    parts = head.load()
    assert len(parts.shape_names) == 129
    assert len(set(parts.expression_names)) == 52
    assert parts.faces.max() < len(parts.mean)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_face() -> None:
    first, again, other = (MODEL.render(MODEL.sample(2, seed=s), 48) for s in (7, 7, 8))
    assert first.tobytes() == again.tobytes()
    assert np.abs(first.astype(int) - other).mean() > 5


def test_a_face_depends_on_its_number_alone() -> None:
    many = MODEL.sample(7, seed=1, images=3)
    late = MODEL.sample(1, seed=1, images=3, start=5)
    for name, array in late.arrays().items():
        np.testing.assert_array_equal(array[0], many.arrays()[name][5], err_msg=name)
    np.testing.assert_array_equal(MODEL.render(late, 48)[0], MODEL.render(many, 48)[5])


def test_a_person_stays_the_same_while_everything_else_changes() -> None:
    faces = MODEL.sample(8, seed=2, images=4)
    np.testing.assert_array_equal(faces.identity, [0, 0, 0, 0, 1, 1, 1, 1])
    for name in ("beta", "albedo", "hair", "brow", "age", "gender"):
        values = faces.arrays()[name]
        np.testing.assert_array_equal(values[0], values[3])
        assert not np.array_equal(values[0], values[4]), name
    for name in ("pose", "light", "background", "psi"):
        values = faces.arrays()[name]
        assert not np.array_equal(values[0], values[1]), name


def test_an_open_jaw_opens_the_mouth(plain: Parameters) -> None:
    parts = head.load()
    lower = np.unique(parts.faces[parts.parts == head.TEETH])
    shut, opened = (geometry.build(with_units(plain, jawOpen=v), 0) for v in (0.0, 1.0))
    assert (shut.xyz[lower, 1] - opened.xyz[lower, 1]).max() > 0.02
    inner = (head.MOUTH, head.TEETH, head.TONGUE)
    seen = [_visible(with_units(plain, jawOpen=v), inner) for v in (0.0, 1.0)]
    assert seen[1] > seen[0] + 300


def test_closed_eyes_hide_the_white_and_the_iris(plain: Parameters) -> None:
    seen = []
    for shut in (0.0, 1.0):
        face = with_units(plain, eyeBlinkLeft=shut, eyeBlinkRight=shut)
        seen.append(_visible(face, (head.LEFT_EYE, head.RIGHT_EYE)))
    assert seen[0] > 100
    assert seen[1] < 0.15 * seen[0]


def _visible(face: Parameters, parts: tuple[int, ...], grid: int = 256) -> int:
    mesh, shared = geometry.build(face, 0), geometry.topology()
    hits = rasterise(mesh.screen[shared.source] * grid, mesh.depth[shared.source], shared.faces, grid)
    return int(np.isin(shared.parts[hits.triangles], parts).sum())


def test_positive_yaw_pitch_and_roll_turn_right_up_and_clockwise(plain: Parameters) -> None:
    nose = int(np.argmax(head.load().mean[:, 2] * (np.abs(head.load().mean[:, 1] + 0.04) < 0.03)))
    crown = int(np.argmax(head.load().mean[:, 1]))

    def screen(pose: tuple[float, float, float], vertex: int) -> np.ndarray:
        return geometry.build(plain.but(pose=np.array([pose], np.float32)), 0).xyz[vertex]

    still = screen((0, 0, 0), nose)
    assert screen((20, 0, 0), nose)[0] > still[0] + 0.02
    assert screen((0, 15, 0), nose)[1] > still[1] + 0.01
    assert screen((0, 0, 10), crown)[0] > screen((0, 0, 0), crown)[0] + 0.02


def test_the_eyes_look_where_the_units_say(plain: Parameters) -> None:
    left, _ = head.load().eyes
    front = left[np.argmax(head.load().mean[left, 2])]
    ahead = geometry.build(plain, 0).xyz[front]
    aside = geometry.build(with_units(plain, eyeLookOutLeft=1.0), 0).xyz[front]
    assert aside[0] > ahead[0] + 0.002  # The left eye is at the image's right; out is further right.


@pytest.mark.parametrize("field", ["age", "gender", "weight"])
def test_macro_sliders_move_the_face(plain: Parameters, field: str) -> None:
    low, high = (geometry.build(plain.but(**{field: np.array([v], np.float32)}), 0).xyz for v in (0.1, 0.9))
    assert np.abs(low - high).max() > 0.002


def test_every_identity_slider_and_every_expression_unit_moves_something() -> None:
    parts = head.load()
    moved = np.abs(parts.shape).max(axis=0).toarray().ravel().reshape(2, 129).max(0)
    assert moved.min() > 1e-4
    assert np.abs(parts.expression).max(1).min() > 1e-4


def test_light_from_the_right_brightens_the_right(plain: Parameters) -> None:
    def halves(x: float) -> np.ndarray:
        light = np.array([[x, 0.2, 0.6]], np.float32)
        known = MODEL.buffers(plain.but(light=light / np.linalg.norm(light)), 64)
        return np.array([known.shading[0, :, :32].mean(), known.shading[0, :, 32:].mean()])

    left, right = halves(-0.8), halves(0.8)
    assert left[0] > left[1]
    assert right[1] > right[0]


@pytest.fixture(scope="module")
def known() -> Buffers:
    return MODEL.buffers(MODEL.sample(3, seed=5), 64)


class TestBuffers:
    def test_the_image_is_the_rendered_image(self, known: Buffers) -> None:
        np.testing.assert_array_equal(known.image, MODEL.render(MODEL.sample(3, seed=5), 64))

    def test_normals_have_unit_length_on_the_face_and_none_off_it(self, known: Buffers) -> None:
        buffers = known
        length = np.linalg.norm(buffers.normal, axis=-1)
        np.testing.assert_allclose(length[buffers.mask > 0], 1, atol=1e-4)
        assert np.all(length[buffers.mask == 0] == 0)
        assert buffers.normal[buffers.mask == 1][:, 2].mean() > 0.4  # Most of what is seen faces the viewer.

    def test_rendered_is_albedo_times_shading(self, known: Buffers) -> None:
        b = known
        inside = b.mask > 0
        np.testing.assert_allclose(b.rendered[inside], np.minimum(b.albedo * b.shading, 1)[inside], atol=1e-3)

    def test_the_image_exceeds_the_matte_rendering_only_by_highlights(self, known: Buffers) -> None:
        b = known
        full = b.mask == 1
        excess = b.image[full] / 255 - b.rendered[full]
        assert excess.min() > -0.01
        assert np.median(excess) < 0.04

    def test_depth_is_the_cameras_distance(self, known: Buffers) -> None:
        b = known
        assert 0.4 < b.depth[b.mask == 1].min() < b.depth[b.mask == 1].max() < 1.8
        assert np.all(b.depth[b.mask == 0] == 0)

    def test_values_stay_in_range(self, known: Buffers) -> None:
        b = known
        for values in (b.albedo, b.rendered, b.mask):
            assert values.min() >= 0
            assert values.max() <= 1 + 1e-6
        assert np.isfinite(b.shading).all()


def test_sizes_show_the_same_picture() -> None:
    face = MODEL.sample(1, seed=3)
    small, large = (MODEL.render(face, s)[0].astype(float) for s in (64, 128))
    halved = large.reshape(64, 2, 64, 2, 3).mean((1, 3))
    assert np.abs(halved - small).mean() < 4


def test_bad_requests_say_what_is_wrong() -> None:
    face = MODEL.sample(1)
    with pytest.raises(InputError, match="16 to 1024"):
        MODEL.render(face, 8)
    with pytest.raises(InputError, match="n >= 1"):
        MODEL.sample(0)
    with pytest.raises(InputError, match=r"Unknown expression 'joyful'.*happy"):
        MODEL.sample(1, expressions=["joyful"])
    with pytest.raises(InputError, match="intensity"):
        psi("happy", 1.5)
    with pytest.raises(InputError, match="Cannot replace 'psi'"):
        face.but(psi=np.zeros((2, 52), np.float32))


def test_a_set_can_be_taken_apart_and_joined() -> None:
    faces = MODEL.sample(5, seed=6)
    joined = Parameters.join([faces.take([3, 4]), faces.take(slice(0, 3))])
    np.testing.assert_array_equal(joined.beta, faces.beta[[3, 4, 0, 1, 2]])
