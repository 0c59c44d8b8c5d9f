"""Frames of video files are images with the columns clip, frame and time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facebench.core.errors import InputError
from facebench.images.decoding import decode
from facebench.images.errors import ImageError
from facebench.images.image_set import ImageSet, read
from facebench.images.sources import video
from tests.helpers.image_archives import write_video

av = pytest.importorskip("av", reason="PyAV is not installed")
PIXELS = np.random.default_rng(0).integers(0, 256, (9, 48, 64, 3), np.uint8)


def test_frames_have_the_pixels_numbers_and_times_of_the_video(tmp_path: Path) -> None:
    images = ImageSet.open(write_video(tmp_path / "clip.mkv", PIXELS, rate=10))
    assert (images.kind, images.items[1].name) == ("video", "000001.ppm")
    assert images.items[3].columns == {"clip": "clip", "frame": "3", "time": "0.300000"}
    assert np.array_equal([decode(read(item)) for item in images.items], PIXELS)


def test_frames_are_read_in_any_order_with_a_small_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "WINDOW", 2 * PIXELS[0].nbytes)
    images = ImageSet.open(write_video(tmp_path / "clip.mkv", PIXELS))
    for index in (5, 4, 8, 0, 7, 7):
        assert np.array_equal(decode(read(images.items[index])), PIXELS[index])


def test_a_folder_of_videos_is_one_set_of_clips(tmp_path: Path) -> None:
    for name in ("a.mkv", "b.mkv"):
        write_video(tmp_path / name, PIXELS[:4])
    (tmp_path / "README.md").write_text("clips")
    images = ImageSet.open(tmp_path)
    assert [item.name for item in images.items][::4] == ["a.mkv/000000.ppm", "b.mkv/000000.ppm"]
    assert images.column("clip") == [*"aaaabbbb"]


def test_frames_in_another_order_than_their_packets_are_sorted_by_time(tmp_path: Path) -> None:
    ramp = np.repeat(np.arange(0, 240, 10, dtype=np.uint8), 64 * 64 * 3).reshape(-1, 64, 64, 3)
    with av.open(str(tmp_path / "b.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height = stream.width = 64
        stream.pix_fmt, stream.options = "yuv420p", {"bf": "3", "qp": "10"}
        for image in ramp:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    images = ImageSet.open(tmp_path / "b.mp4")
    assert len(images) == len(ramp)
    means = [decode(read(item)).mean() for item in images.items]
    assert means == pytest.approx(ramp.mean(axis=(1, 2, 3)), abs=4)
    assert [float(time) for time in images.column("time")] == pytest.approx(np.arange(24) / 25)


def test_damaged_files_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video" * 100)
    with pytest.raises(InputError, match="not a readable video") as caught:
        ImageSet.open(tmp_path / "a.mp4")
    assert "\n" not in str(caught.value)


def test_frames_that_are_missing_in_a_damaged_video_are_rejected(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", PIXELS)
    images = ImageSet.open(path)
    first = read(images.items[0])
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert read(images.items[0]) == first
    with pytest.raises(ImageError) as caught:
        read(images.items[8])
    assert caught.value.reason == "truncated"
    path.unlink()
    with pytest.raises(ImageError, match="missing"):
        read(images.items[0])
