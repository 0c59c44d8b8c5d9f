"""The face model: parameters have the documented effect on mesh, image and buffers."""

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
    """One frontal face without expression."""
    face = MODEL.sample(1, seed=4)
    return face.replace(psi=np.zeros_like(face.psi), pose=np.zeros_like(face.pose))


def unit(name: str) -> int:
    return head.load().expression_names.index(name)


def with_units(face: Parameters, **values: float) -> Parameters:
    changed = face.psi.copy()
    for name, value in values.items():
        changed[:, unit(name)] = value
    return face.replace(psi=changed)


def test_the_head_has_the_documented_sizes() -> None:
    parts = head.load()
    assert len(parts.shape_names) == 129
    assert len(set(parts.expression_names)) == 52
    assert parts.faces.max() < len(parts.mean)


def test_equal_seeds_give_identical_images() -> None:
    first, again, other = (MODEL.render(MODEL.sample(2, seed=s), 48) for s in (7, 7, 8))
    assert first.tobytes() == again.tobytes()
    assert np.abs(first.astype(int) - other).mean() > 5


def test_a_face_depends_only_on_its_index() -> None:
    many = MODEL.sample(7, seed=1, images=3)
    single = MODEL.sample(1, seed=1, images=3, start=5)
    for name, array in single.arrays().items():
        np.testing.assert_array_equal(array[0], many.arrays()[name][5], err_msg=name)
    np.testing.assert_array_equal(MODEL.render(single, 48)[0], MODEL.render(many, 48)[5])


def test_identity_is_fixed_per_person_and_appearance_varies() -> None:
    faces = MODEL.sample(8, seed=2, images=4)
    np.testing.assert_array_equal(faces.identity, [0, 0, 0, 0, 1, 1, 1, 1])
    for name in ("beta", "albedo", "hair", "brow", "age", "gender"):
        values = faces.arrays()[name]
        np.testing.assert_array_equal(values[0], values[3])
        assert not np.array_equal(values[0], values[4]), name
    for name in ("pose", "light", "background", "psi"):
        values = faces.arrays()[name]
        assert not np.array_equal(values[0], values[1]), name


def test_jaw_open_opens_the_mouth(plain: Parameters) -> None:
    parts = head.load()
    lower = np.unique(parts.faces[parts.parts == head.TEETH])
    closed, opened = (geometry.build(with_units(plain, jawOpen=v), 0) for v in (0.0, 1.0))
    assert (closed.xyz[lower, 1] - opened.xyz[lower, 1]).max() > 0.02
    inner = (head.MOUTH, head.TEETH, head.TONGUE)
    visible = [_visible(with_units(plain, jawOpen=v), inner) for v in (0.0, 1.0)]
    assert visible[1] > visible[0] + 300


def test_closed_lids_cover_the_eyes(plain: Parameters) -> None:
    visible = []
    for closed in (0.0, 1.0):
        face = with_units(plain, eyeBlinkLeft=closed, eyeBlinkRight=closed)
        visible.append(_visible(face, (head.LEFT_EYE, head.RIGHT_EYE)))
    assert visible[0] > 100
    assert visible[1] < 0.15 * visible[0]


def _visible(face: Parameters, parts: tuple[int, ...], grid: int = 256) -> int:
    """Number of samples that show one of the parts."""
    mesh, shared = geometry.build(face, 0), geometry.topology()
    hits = rasterise(mesh.screen[shared.source] * grid, mesh.depth[shared.source], shared.faces, grid)
    return int(np.isin(shared.parts[hits.triangles], parts).sum())


def test_positive_yaw_pitch_and_roll_turn_right_up_and_clockwise(plain: Parameters) -> None:
    nose = int(np.argmax(head.load().mean[:, 2] * (np.abs(head.load().mean[:, 1] + 0.04) < 0.03)))
    crown = int(np.argmax(head.load().mean[:, 1]))

    def position(pose: tuple[float, float, float], vertex: int) -> np.ndarray:
        return geometry.build(plain.replace(pose=np.array([pose], np.float32)), 0).xyz[vertex]

    frontal = position((0, 0, 0), nose)
    assert position((20, 0, 0), nose)[0] > frontal[0] + 0.02
    assert position((0, 15, 0), nose)[1] > frontal[1] + 0.01
    assert position((0, 0, 10), crown)[0] > position((0, 0, 0), crown)[0] + 0.02


def test_gaze_units_turn_the_eyes(plain: Parameters) -> None:
    left, _ = head.load().eyes
    front = left[np.argmax(head.load().mean[left, 2])]
    ahead = geometry.build(plain, 0).xyz[front]
    outwards = geometry.build(with_units(plain, eyeLookOutLeft=1.0), 0).xyz[front]
    assert outwards[0] > ahead[0] + 0.002  # the left eye is on the right side of the image


@pytest.mark.parametrize("field", ["age", "gender", "weight"])
def test_macro_parameters_change_the_mesh(plain: Parameters, field: str) -> None:
    low, high = (
        geometry.build(plain.replace(**{field: np.array([v], np.float32)}), 0).xyz for v in (0.1, 0.9)
    )
    assert np.abs(low - high).max() > 0.002


def test_every_slider_and_unit_moves_vertices() -> None:
    parts = head.load()
    moved = np.abs(parts.shape).max(axis=0).toarray().ravel().reshape(2, 129).max(0)
    assert moved.min() > 1e-4
    assert np.abs(parts.expression).max(1).min() > 1e-4


def test_light_from_the_right_brightens_the_right(plain: Parameters) -> None:
    def halves(x: float) -> np.ndarray:
        light = np.array([[x, 0.2, 0.6]], np.float32)
        lit = MODEL.buffers(plain.replace(light=light / np.linalg.norm(light)), 64)
        return np.array([lit.shading[0, :, :32].mean(), lit.shading[0, :, 32:].mean()])

    left, right = halves(-0.8), halves(0.8)
    assert left[0] > left[1]
    assert right[1] > right[0]


@pytest.fixture(scope="module")
def buffers() -> Buffers:
    return MODEL.buffers(MODEL.sample(3, seed=5), 64)


class TestBuffers:
    def test_the_image_equals_the_output_of_render(self, buffers: Buffers) -> None:
        np.testing.assert_array_equal(buffers.image, MODEL.render(MODEL.sample(3, seed=5), 64))

    def test_normals_have_unit_length_on_the_face_and_zero_elsewhere(self, buffers: Buffers) -> None:
        length = np.linalg.norm(buffers.normal, axis=-1)
        np.testing.assert_allclose(length[buffers.mask > 0], 1, atol=1e-4)
        assert np.all(length[buffers.mask == 0] == 0)
        assert buffers.normal[buffers.mask == 1][:, 2].mean() > 0.4  # most of the surface faces the viewer

    def test_rendered_is_albedo_times_shading(self, buffers: Buffers) -> None:
        inside = buffers.mask > 0
        product = np.minimum(buffers.albedo * buffers.shading, 1)
        np.testing.assert_allclose(buffers.rendered[inside], product[inside], atol=1e-3)

    def test_the_image_exceeds_the_lambertian_rendering_only_by_highlights(self, buffers: Buffers) -> None:
        full = buffers.mask == 1
        excess = buffers.image[full] / 255 - buffers.rendered[full]
        assert excess.min() > -0.01
        assert np.median(excess) < 0.04

    def test_depth_is_the_distance_from_the_camera(self, buffers: Buffers) -> None:
        depth = buffers.depth[buffers.mask == 1]
        assert 0.4 < depth.min() < depth.max() < 1.8
        assert np.all(buffers.depth[buffers.mask == 0] == 0)

    def test_values_are_in_range(self, buffers: Buffers) -> None:
        for values in (buffers.albedo, buffers.rendered, buffers.mask):
            assert values.min() >= 0
            assert values.max() <= 1 + 1e-6
        assert np.isfinite(buffers.shading).all()


def test_different_sizes_show_the_same_image() -> None:
    face = MODEL.sample(1, seed=3)
    small, large = (MODEL.render(face, s)[0].astype(float) for s in (64, 128))
    halved = large.reshape(64, 2, 64, 2, 3).mean((1, 3))
    assert np.abs(halved - small).mean() < 4


def test_invalid_arguments_are_explained() -> None:
    face = MODEL.sample(1)
    with pytest.raises(InputError, match="16 to 1024"):
        MODEL.render(face, 8)
    with pytest.raises(InputError, match="n >= 1"):
        MODEL.sample(0)
    with pytest.raises(InputError, match=r"Unknown expression 'joyful'.*Known: .*happy"):
        MODEL.sample(1, expressions=["joyful"])
    with pytest.raises(InputError, match="intensity"):
        psi("happy", 1.5)
    with pytest.raises(InputError, match="Cannot replace 'psi'"):
        face.replace(psi=np.zeros((2, 52), np.float32))


def test_sets_can_be_split_and_joined() -> None:
    faces = MODEL.sample(5, seed=6)
    joined = Parameters.join([faces.take([3, 4]), faces.take(slice(0, 3))])
    np.testing.assert_array_equal(joined.beta, faces.beta[[3, 4, 0, 1, 2]])
