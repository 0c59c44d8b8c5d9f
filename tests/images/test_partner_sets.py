"""Pairs of the frames of two videos, made without a manifest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facebench.core.errors import InputError
from facebench.images.image_set import ImageSet
from facebench.images.partner_sets import with_partners
from tests.helpers.image_archives import write_video

pytest.importorskip("av")


def video(path: Path, frames: int, rate: int = 25) -> Path:
    path.parent.mkdir(exist_ok=True)
    pixels = np.zeros((frames, 16, 16, 3), np.uint8)
    pixels[:] = np.arange(frames)[:, None, None, None]
    return write_video(path, pixels, rate)


def partners(generated: Path, target: Path, role: str = "target") -> list[str | None]:
    return with_partners(ImageSet.open(generated), role, target).column(role)


def test_two_videos_are_paired_by_the_number_of_the_frame(tmp_path: Path) -> None:
    images = with_partners(
        ImageSet.open(video(tmp_path / "made.mkv", 4)), "target", video(tmp_path / "driver.mkv", 4)
    )
    targets, positions = images.linked("target")
    assert positions == [0, 1, 2, 3]
    assert targets.root == tmp_path / "driver.mkv"
    assert [item.name for item in targets.items] == images.column("target")
    assert images.warnings == ()


def test_folders_of_videos_are_paired_by_the_names_of_the_files(tmp_path: Path) -> None:
    for side, names in (("made", "ab"), ("driver", "abc")):
        for count, name in enumerate(names, 2):
            video(tmp_path / side / f"{name}.mkv", count)
    assert partners(tmp_path / "made", tmp_path / "driver") == [
        "a.mkv/000000.ppm", "a.mkv/000001.ppm",
        "b.mkv/000000.ppm", "b.mkv/000001.ppm", "b.mkv/000002.ppm",
    ]  # fmt: skip
    with pytest.raises(InputError, match="has no clip of this name in --target"):
        partners(tmp_path / "driver", tmp_path / "made")


def test_other_rates_of_one_duration_are_paired_by_time_and_the_record_says_so(tmp_path: Path) -> None:
    images = with_partners(
        ImageSet.open(video(tmp_path / "made.mkv", 5, rate=25)),
        "target",
        video(tmp_path / "driver.mkv", 10, rate=50),
    )
    assert images.linked("target")[1] == [0, 1, 2, 3, 4]
    assert images.column("target") == [f"{i:06d}.ppm" for i in (0, 2, 4, 6, 8)]
    assert images.warnings == ("frames are paired by time, at 25 and 50 per second (made)",)


def test_equal_numbers_at_other_rates_are_paired_by_number_and_the_record_says_so(tmp_path: Path) -> None:
    images = with_partners(
        ImageSet.open(video(tmp_path / "made.mkv", 5, rate=25)),
        "target",
        video(tmp_path / "driver.mkv", 5, rate=50),
    )
    assert images.column("target") == [f"{i:06d}.ppm" for i in range(5)]
    assert images.warnings == ("frames are paired by number, at 25 and 50 per second (made)",)


def test_other_lengths_are_one_clear_error(tmp_path: Path) -> None:
    made, driver = video(tmp_path / "made.mkv", 6), video(tmp_path / "driver.mkv", 4)
    with pytest.raises(InputError) as error:
        partners(made, driver)
    assert "has 6 frames at 25 per second (0.24 s), that of --target has 4 frames at 25" in str(error.value)
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (16, 16)).save(folder / "a.png")
    with pytest.raises(InputError, match="--target needs a video, a folder of videos"):
        partners(made, folder)
    with pytest.raises(InputError, match="has no number in the column 'frame', which --target needs"):
        partners(folder, made)


def test_a_source_is_one_picture_or_one_for_each_clip(tmp_path: Path) -> None:
    for name in "ab":
        video(tmp_path / "made" / f"{name}.mkv", 2)
    pictures = tmp_path / "people"
    pictures.mkdir()
    for name in "ba":
        Image.new("RGB", (16, 16)).save(pictures / f"{name}.png")
    assert partners(tmp_path / "made", pictures, "source") == ["a.png", "a.png", "b.png", "b.png"]
    assert partners(tmp_path / "made", pictures / "a.png", "source") == ["a.png"] * 4
    (pictures / "b.png").unlink()
    Image.new("RGB", (16, 16)).save(pictures / "c.png")
    with pytest.raises(InputError, match="The clip 'b' has no picture of this name in --source"):
        partners(tmp_path / "made", pictures, "source")
