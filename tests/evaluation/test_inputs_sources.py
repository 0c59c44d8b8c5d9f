"""The same images give the same record, whatever holds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import facebench
from facebench.evaluation.record import Run
from facebench.images.image_set import ImageSet
from facebench.report.galleries.images import thumbnail
from tests.helpers.image_archives import (
    files_of,
    pixels_of,
    webdataset,
    write_dataset,
    write_lmdb,
    write_parquet,
    write_ppm_folder,
    write_tar,
    write_video,
    write_zip,
)

OPTIONS = {"protocol": "quality", "suite": "compact", "name": "model"}


def without_source(run: Run) -> dict[str, object]:
    """Return the record without what differs between two runs on the same images."""
    content = run.model_dump(exclude={"created", "timings", "config"})
    for images in content["inputs"].values():
        del images["path"], images["kind"]
    return content


def assert_same(run: Run, expected: Run) -> None:
    assert without_source(run) == without_source(expected)
    assert run.per_image is not None
    pd.testing.assert_frame_equal(run.per_image, expected.per_image)


@pytest.fixture(scope="module")
def of_folder(faces: Path) -> Run:
    return facebench.evaluate(faces, faces, **OPTIONS)


@pytest.mark.parametrize("kind", ["zip", "tar", "webdataset", "parquet"])
def test_archives_give_the_record_of_the_folder(
    tmp_path: Path, faces: Path, of_folder: Run, kind: str
) -> None:
    images = ImageSet.open(faces)
    if kind == "zip":
        path = write_zip(tmp_path / "a.zip", files_of(faces))
    elif kind == "parquet":
        path = write_parquet(tmp_path / "a.parquet", images)
    else:
        path = write_tar(tmp_path / "a.tar", files_of(faces) if kind == "tar" else webdataset(images))
    run = facebench.evaluate(path, path, **OPTIONS)
    assert run.inputs["generated"].kind == ("tar" if kind == "webdataset" else kind)
    assert_same(run, of_folder)
    name, digest = run.per_image.loc[0, ["image", "sha256"]]
    assert thumbnail(run.inputs["generated"], name, digest).uri.startswith("data:image/jpeg")


def test_an_array_gives_the_record_of_a_folder_of_ppm_files(
    tmp_path: Path, faces: Path, of_folder: Run
) -> None:
    pixels = pixels_of(faces)
    folder = write_ppm_folder(tmp_path / "ppm", pixels)
    np.savez(tmp_path / "a.npz", pixels)
    run = facebench.evaluate(tmp_path / "a.npz", folder, **OPTIONS)
    assert_same(run, facebench.evaluate(folder, folder, **OPTIONS))
    for metric, result in run.metrics.items():
        assert result.value == pytest.approx(of_folder.metrics[metric].value, rel=1e-9, abs=1e-9), metric


def test_databases_datasets_and_lists_give_the_record_of_a_flat_folder(tmp_path: Path, faces: Path) -> None:
    files = {f"{i:06d}.png": data for i, data in enumerate(list(files_of(faces).values())[:20])}
    folder = tmp_path / "flat"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (tmp_path / "list.txt").write_text("\n".join(f"flat/{name}" for name in files))
    pytest.importorskip("datasets", reason="the package datasets is not installed")
    expected = facebench.evaluate(folder, folder, **OPTIONS)
    for source in (
        write_lmdb(tmp_path / "a.lmdb", files),
        write_dataset(tmp_path / "saved", ImageSet.open(folder)),
        tmp_path / "list.txt",
        [folder / name for name in files],
    ):
        assert_same(facebench.evaluate(source, source, **OPTIONS), expected)


def test_a_video_gives_the_record_of_a_folder_of_frames(tmp_path: Path, faces: Path) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    pixels = pixels_of(faces)[:12]
    folder = write_ppm_folder(tmp_path / "ppm", pixels)
    lines = [f"{i:06d}.ppm,clip,{i},{i / 25:.6f}" for i in range(12)]
    (folder / "manifest.csv").write_text("\n".join(["image,clip,frame,time", *lines]))
    video = write_video(tmp_path / "clip.mkv", pixels)
    expected = facebench.evaluate(folder, folder, **OPTIONS)
    assert_same(facebench.evaluate(video, video, **OPTIONS), expected)
