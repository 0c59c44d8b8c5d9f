"""Groups that are measured in the images: skin tone and light."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import facebench
from facebench.core.errors import InputError
from facebench.evaluation.appearance_groups import GROUPINGS, groups_by_appearance
from facebench.images.image_set import ImageSet
from facebench.metrics.skin_tone import tone_class
from tests.helpers.paths import GOLDENS_FOLDER

IMAGES = GOLDENS_FOLDER / "images" / "a"


def test_groups_of_skin_tone_hold_all_faces_and_their_metrics(tmp_path: Path) -> None:
    shutil.copytree(IMAGES, tmp_path / "a")
    run = facebench.evaluate(tmp_path / "a", protocol="quality", metrics=["face_found"], by="skin_tone")
    assert run.per_image is not None
    table = run.per_image
    assert table["skin_tone"].notna().sum() == 32
    for ita, tone in zip(table["ita:face-pixels"], table["skin_tone"], strict=True):
        assert tone == tone_class(float(ita))
    assert set(run.groups) == {f"skin_tone={tone}" for tone in set(table["skin_tone"])}
    sizes = [group["face_found"].n["generated"] for group in run.groups.values()]
    assert sum(sizes) == 32


@pytest.mark.parametrize(
    ("name", "value", "group"),
    [
        ("light_level", 30.0, "dark"), ("light_level", 50.0, "medium"), ("light_level", 70.0, "light"),
        ("light_side", -20.0, "left"), ("light_side", 0.0, "frontal"), ("light_side", 20.0, "right"),
        ("yaw", -16.0, "left"), ("yaw", 0.0, "frontal"), ("yaw", 16.0, "right"),
        ("pitch", -11.0, "down"), ("pitch", 0.0, "level"), ("pitch", 11.0, "up"),
        ("skin_tone", 60.0, "very light"), ("skin_tone", -60.0, "dark"),
    ],
)  # fmt: skip
def test_bounds_of_the_groups(name: str, value: float, group: str) -> None:
    assert GROUPINGS[name].group(value) == group


def test_a_column_of_the_manifest_has_priority(tmp_path: Path) -> None:
    shutil.copy(IMAGES / "id000_happy.png", tmp_path)
    (tmp_path / "manifest.csv").write_text("image,skin_tone\nid000_happy.png,mine\n")
    assert not groups_by_appearance(ImageSet.open(tmp_path), "skin_tone")
    assert groups_by_appearance(ImageSet.open(IMAGES), "skin_tone")
    assert not groups_by_appearance(ImageSet.open(IMAGES), "expression")


def test_yaw_comes_from_the_landmarks_and_pitch_needs_its_network(tmp_path: Path) -> None:
    shutil.copytree(IMAGES, tmp_path / "a")
    run = facebench.evaluate(tmp_path / "a", protocol="quality", metrics=["face_found"], by="yaw")
    assert run.groups
    assert set(run.groups) <= {"yaw=left", "yaw=frontal", "yaw=right"}
    assert sum(group["face_found"].n["generated"] for group in run.groups.values()) == 32
    with pytest.raises(
        InputError, match=r"--by pitch reads headpose, whose weights are missing: facebench weights"
    ):
        facebench.evaluate(tmp_path / "a", protocol="quality", metrics=["face_found"], by="pitch")
