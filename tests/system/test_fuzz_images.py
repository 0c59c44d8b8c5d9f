"""Damaged image files: pixels or an `ImageError`, never another exception, and never made-up pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as Pillow

from facebench.images.decoding import ImageError, Limits, decode
from tests.helpers.image_files import encode, picture, twelve_bit_tiff
from tests.helpers.mutator import cases, mutate, within

LIMITS = Limits(max_pixels=4_000_000)
PIXELS = picture(96, 120)


def palette() -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(PIXELS).quantize(16).save(buffer, "PNG", transparency=3)
    return buffer.getvalue()


def with_exif(kind: str) -> bytes:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Pillow.fromarray(PIXELS).save(buffer, kind, exif=exif)
    return buffer.getvalue()


SEEDS = {
    "png": encode(PIXELS, "PNG"),
    "png-alpha": encode(np.dstack([PIXELS, PIXELS[:, :, :1]]), "PNG"),
    "png-palette": palette(),
    "png-grey16": encode(PIXELS[:, :, 0].astype(np.uint16) * 257, "PNG"),
    "png-exif": with_exif("PNG"),
    "jpeg": encode(PIXELS, "JPEG", quality=90),
    "jpeg-progressive": encode(PIXELS, "JPEG", quality=90, progressive=True),
    "jpeg-cmyk": encode(PIXELS, "JPEG", mode="CMYK"),
    "jpeg-exif": with_exif("JPEG"),
    "webp": encode(PIXELS, "WEBP", lossless=True),
    "tiff": encode(PIXELS, "TIFF"),
    "tiff-lzw": encode(PIXELS, "TIFF", compression="tiff_lzw"),
    "tiff-jpeg": encode(PIXELS, "TIFF", compression="jpeg"),
    "tiff-12": twelve_bit_tiff((PIXELS[:, :, 0].astype(np.uint16)) * 16),
    "bmp": encode(PIXELS, "BMP"),
    "ppm": encode(PIXELS, "PPM"),
}


@pytest.mark.parametrize("name", SEEDS)
def test_a_damaged_image_has_pixels_or_a_reason(name: str) -> None:
    for seed in cases(60):
        try:
            with within(20):
                pixels = decode(mutate(SEEDS[name], seed), limits=LIMITS)
        except ImageError:
            continue
        assert pixels.dtype == np.uint8, seed
        assert pixels.ndim == 3, seed
        assert pixels.shape[2] == 3, seed
        assert pixels.shape[0] * pixels.shape[1] <= LIMITS.max_pixels, seed


@pytest.mark.parametrize("name", ["png", "png-alpha", "png-palette", "png-grey16"])
def test_a_damaged_png_has_its_own_pixels_or_none(name: str) -> None:
    """The chunks of PNG have checksums, so damage that changes pixels is detected."""
    original = decode(SEEDS[name])
    for seed in cases(150):
        try:
            pixels = decode(mutate(SEEDS[name], 10_000 + seed), limits=LIMITS)
        except ImageError:
            continue
        assert np.array_equal(pixels, original), seed


def test_a_cut_jpeg_is_rejected_wherever_it_is_cut() -> None:
    for name in ("jpeg", "jpeg-progressive"):
        data = SEEDS[name]
        start = data.index(b"\xff\xda") + 20
        for cut in np.linspace(start, len(data) - 40, len(cases(40))).astype(int).tolist():
            with pytest.raises(ImageError):
                decode(data[:cut] + b"\xff\xd9")
