"""FLAME's model and texture files: conversion, versions, damaged values."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from facebench.core.errors import WeightsError
from facebench.training.rig.buffers.flame import Flame
from facebench.training.rig.buffers.flame_files import read_flame, read_texture
from tests.helpers import flame_like


def not_finite() -> np.ndarray:
    template = np.zeros((5023, 3))
    template[7, 1] = np.nan
    return template


def regressor(name: str, value: int) -> scipy.sparse.csc_matrix:
    """A sparse matrix with one row index or one column start replaced."""
    matrix = scipy.sparse.csc_matrix(np.eye(5, 5023))
    getattr(matrix, name)[2] = value
    return matrix


def test_arrays_keep_their_values(content: dict[str, Any], flame: Flame) -> None:
    assert np.array_equal(flame.template, content["v_template"])
    assert np.array_equal(flame.faces, content["f"])
    assert np.array_equal(flame.shapes, content["shapedirs"][:, :, :100].astype(float))
    assert np.array_equal(flame.expressions, content["shapedirs"][:, :, 300:350].astype(float))
    assert np.array_equal(flame.correctives, content["posedirs"].astype(float))
    assert np.array_equal(flame.regressor, content["J_regressor"].toarray())
    assert np.array_equal(flame.weights, content["weights"])


def test_arrays_in_column_order_keep_their_values(content: dict[str, Any], tmp_path: Path) -> None:
    columns_first = {"posedirs": np.asfortranarray(content["posedirs"])}
    flame = read_flame(flame_like.save(tmp_path / "model.pkl", content | columns_first))
    assert np.array_equal(flame.correctives, content["posedirs"].astype(float))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"v_template": np.zeros((6890, 3))},
            r"'v_template' has shape \(6890, 3\); FLAME 2020's has \(5023, 3\)",
        ),
        ({"shapedirs": np.zeros((5023, 3, 10), np.float32)}, r"'shapedirs' has shape \(5023, 3, 10\)"),
        ({"kintree_table": np.zeros((2, 5), int)}, "its joints have the parents"),
        ({"weights": "none"}, "'weights' holds no numbers"),
        ({"f": np.full((9976, 3), 6000)}, "a triangle refers to a vertex that does not exist"),
        ({"f": np.full((9976, 3), np.nan)}, "'f' holds no whole numbers"),
        ({"v_template": not_finite()}, "'v_template' holds a number that is not finite"),
        ({"J_regressor": regressor("indices", 5)}, "'J_regressor' is damaged .*index out of range"),
        ({"J_regressor": regressor("indices", -1)}, "'J_regressor' is damaged .*index out of range"),
        ({"J_regressor": regressor("indptr", 99)}, "'J_regressor' is damaged .*index out of range"),
        (
            {"J_regressor": scipy.sparse.csc_matrix(([1.0], ([0], [0])), (10**5, 10**5))},
            "'J_regressor' is damaged .*another shape",
        ),
    ],
)
def test_other_models_and_damaged_values_are_refused(
    content: dict[str, Any], change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=message):
        read_flame(flame_like.save(tmp_path / "model.pkl", content | change))


def test_a_truncated_file_and_a_missing_array_are_refused(content: dict[str, Any], tmp_path: Path) -> None:
    path = flame_like.save(tmp_path / "model.pkl", content)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(WeightsError, match="is refused"):
        read_flame(path)
    without = {name: value for name, value in content.items() if name != "posedirs"}
    with pytest.raises(WeightsError, match="lacks 'posedirs'"):
        read_flame(flame_like.save(path, without))


def test_the_texture_is_converted_from_bgr_at_every_second_texel(tmp_path: Path) -> None:
    path = flame_like.texture(tmp_path / "FLAME_texture.npz")
    texture = read_texture(path)
    with np.load(path) as file:
        expected = (file["mean"][10, 20] + file["tex_dir"][10, 20, :, 0].astype(float) * 3)[::-1] / 255
    codes = np.zeros(50)
    codes[0] = 3
    np.testing.assert_allclose(texture.painted(codes)[5, 10], expected, atol=1e-6)


TEXTURE = {
    "mean": np.zeros((512, 512, 3), np.float16),
    "tex_dir": np.zeros((512, 512, 3, 50), np.float16),
    "vt": np.zeros((4, 2)),
    "ft": np.zeros((9976, 3), int),
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": np.zeros((256, 256, 3))}, r"'mean' has shape \(256, 256, 3\)"),
        ({"tex_dir": np.zeros((512, 512, 3, 10), np.float16)}, "10 texture directions, at least 50"),
        ({"vt": np.zeros((10**6, 2), np.float16)}, r"'vt' has shape \(1000000, 2\)"),
        ({"vt": np.zeros((4, 2), dtype="U1")}, "'vt' holds no numbers"),
        ({"vt": np.full((4, 2), None)}, "'vt' holds no numbers"),
        ({"ft": np.full((9976, 3), 4)}, "a triangle refers to a texture vertex that does not exist"),
    ],
)
def test_another_texture_is_refused(change: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    path = tmp_path / "FLAME_texture.npz"
    np.savez_compressed(path, **(TEXTURE | change))
    with pytest.raises(WeightsError, match=message):
        read_texture(path)


def test_a_shape_is_checked_before_its_data_is_decompressed(tmp_path: Path) -> None:
    """The header claims an array of 2 TB; the file holds none of its data."""
    path = tmp_path / "FLAME_texture.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("mean.npy", "w") as member:
        header = {"descr": "<f8", "fortran_order": False, "shape": (512, 512, 10**6)}
        np.lib.format.write_array_header_1_0(member, header)
    with pytest.raises(WeightsError, match=r"'mean' has shape \(512, 512, 1000000\)"):
        read_texture(path)


def test_a_truncated_texture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "FLAME_texture.npz"
    np.savez_compressed(path, **TEXTURE)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="is not FLAME_texture"):
        read_texture(path)
