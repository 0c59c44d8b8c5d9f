"""Write the images of a folder as ZIP, TAR, NPZ and Parquet files."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from facebench.images.image_set import ImageSet, read


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the content of all files by name, sorted."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def write_zip(path: Path, files: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write files as a ZIP archive."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_tar(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write files as an uncompressed TAR archive."""
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def webdataset(images: ImageSet) -> dict[str, bytes]:
    """Return the members of a shard: each image, and its columns as JSON."""
    members = {}
    for item in images.items:
        members[item.name] = item.path.read_bytes()
        members[str(Path(item.name).with_suffix(".json"))] = json.dumps(dict(item.columns)).encode()
    return members


def write_parquet(path: Path, images: ImageSet, rows_per_group: int = 7) -> Path:
    """Write a Parquet file in the layout of Hugging Face datasets."""
    cells = [{"bytes": item.path.read_bytes(), "path": item.name} for item in images.items]
    columns = {name: images.column(name) for name in images.columns}
    pq.write_table(pa.table({"image": cells, **columns}), path, row_group_size=rows_per_group)
    return path


def write_lmdb(path: Path, files: Mapping[str, bytes], key: str = "64-{:05d}") -> Path:
    """Write encoded images as an LMDB database, in the layout of DiffAE by default."""
    import lmdb

    with lmdb.open(str(path), map_size=2**26) as database, database.begin(write=True) as transaction:
        for i, data in enumerate(files.values()):
            transaction.put(key.format(i).encode(), data)
        transaction.put(b"length", str(len(files)).encode())
    return path


def write_dataset(path: Path, images: ImageSet) -> Path:
    """Write a folder of the library datasets."""
    import datasets

    features = {name: datasets.Value("string") for name in images.columns}
    cells = [{"bytes": read(item), "path": item.name} for item in images.items]
    content = {"image": cells, **{name: images.column(name) for name in images.columns}}
    made = datasets.Dataset.from_dict(content, datasets.Features(image=datasets.Image(), **features))
    made.save_to_disk(str(path))
    return path


def write_video(path: Path, pixels: np.ndarray, rate: int = 25) -> Path:
    """Write pixels (n, h, w, 3) as a video without loss."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.height, stream.width = pixels.shape[1:3]
        stream.pix_fmt = "bgr0"
        for image in pixels:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def pixels_of(folder: Path) -> np.ndarray:
    """Return the pixels (n, h, w, 3) of all images below a folder, sorted by name."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".png", ".ppm"))
    return np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])


def write_ppm_folder(folder: Path, pixels: np.ndarray) -> Path:
    """Write pixels as PPM files with the names that arrays have."""
    folder.mkdir()
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{i:06d}.ppm")
    return folder
