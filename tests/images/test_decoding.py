"""One policy decodes every kind of image file to RGB pixels, or states why it cannot."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import threading
import types
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageFile, PngImagePlugin

from facebench.images import jpeg, pixels
from facebench.images.image_set import ImageError, Limits, decode, decode_with_notes
from facebench.images.memory import BYTES_PER_PIXEL, MemoryBudget
from tests.helpers.image_files import bad_files, encode, picture, twelve_bit_tiff, without_adobe_marker

BAD = bad_files()


@pytest.mark.parametrize("name", BAD)
def test_an_unusable_file_is_rejected_with_its_reason_and_without_a_warning(name: str) -> None:
    data, reason = BAD[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match=name) as caught:
            decode(data, name)
    assert caught.value.reason == reason
    assert caught.value.detail in str(caught.value)


def test_truncated_files_are_rejected_even_if_another_library_lets_pillow_fill_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(ImageError, match="truncated"):
        decode(BAD["half.jpg"][0])


@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("PPM", {}), ("WEBP", {"lossless": True, "exact": True})],
)
def test_lossless_formats_restore_every_pixel(kind: str, options: dict[str, bool]) -> None:
    decoded = decode(encode(picture(), kind, **options), "named_wrongly.jpg")
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous
    np.testing.assert_array_equal(decoded, picture())


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_formats_are_close(kind: str) -> None:
    decoded = decode(encode(picture(), kind, quality=95))
    assert np.abs(decoded.astype(int) - picture()).mean() < 3


@pytest.mark.parametrize(
    ("kind", "mode"), [("PNG", "L"), ("JPEG", "L"), ("PPM", "L"), ("PNG", "1"), ("TIFF", "1")]
)
def test_grey_and_bilevel_have_three_equal_channels(kind: str, mode: str) -> None:
    decoded = decode(encode(picture(), kind, mode))
    assert (decoded == decoded[:, :, :1]).all()
    expected = np.asarray(Pillow.fromarray(picture()).convert(mode).convert("L"))
    assert np.abs(decoded[:, :, 0].astype(int) - expected).max() <= (2 if kind == "JPEG" else 0)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_transparency_is_composited_over_white(kind: str) -> None:
    alpha = np.arange(40 * 56).reshape(40, 56, 1) % 256
    rgba = np.concatenate([picture(), alpha], axis=2).astype(np.uint8)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    share = alpha / 255
    np.testing.assert_allclose(
        decode(encode(rgba, kind, **options)), picture() * share + 255 * (1 - share), atol=0.5001
    )


def test_grey_with_alpha_is_composited_over_white() -> None:
    grey_alpha = np.zeros((20, 20, 2), np.uint8)
    grey_alpha[:10, :, 1] = 255
    decoded = decode(encode(grey_alpha, "PNG"))
    assert (decoded[:10] == 0).all()
    assert (decoded[10:] == 255).all()


def test_transparent_palette_colours_are_composited_over_white() -> None:
    image = Pillow.new("P", (20, 20), 0)
    image.putpalette([200, 30, 30, 10, 20, 30])
    image.paste(1, (0, 0, 20, 10))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=0)
    decoded = decode(buffer.getvalue())
    assert (decoded[:10] == [10, 20, 30]).all()
    assert (decoded[10:] == 255).all()


def test_an_opaque_palette_is_resolved() -> None:
    expected = Pillow.fromarray(picture()).quantize(16)
    buffer = io.BytesIO()
    expected.save(buffer, "PNG")
    np.testing.assert_array_equal(decode(buffer.getvalue()), np.asarray(expected.convert("RGB")))


def cmyk() -> np.ndarray:
    inks = np.zeros((32, 32, 4), np.uint8)
    inks[:16] = [255, 0, 0, 0]
    inks[16:] = [0, 51, 255, 51]
    return inks


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_is_converted_to_rgb(kind: str) -> None:
    buffer = io.BytesIO()
    Pillow.frombytes("CMYK", (32, 32), cmyk().tobytes()).save(buffer, kind)
    decoded = decode(buffer.getvalue())
    np.testing.assert_allclose(decoded[4, 4], [0, 255, 255], atol=2)
    np.testing.assert_allclose(decoded[28, 28], [204, 163, 0], atol=2)


def test_cmyk_of_a_jpeg_without_the_adobe_marker_is_not_inverted() -> None:
    buffer = io.BytesIO()
    Pillow.frombytes("CMYK", (32, 32), (255 - cmyk()).tobytes()).save(buffer, "JPEG")
    decoded = decode(without_adobe_marker(buffer.getvalue()))
    np.testing.assert_allclose(decoded[4, 4], [0, 255, 255], atol=2)
    np.testing.assert_allclose(decoded[28, 28], [204, 163, 0], atol=2)


def deep_ramp() -> np.ndarray:
    return np.linspace(0, 65535, 32 * 32).astype(np.uint16).reshape(32, 32)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_scaled_not_clipped(kind: str) -> None:
    pgm = b"P5 32 32 65535 " + deep_ramp().astype(">u2").tobytes()  # older versions of Pillow cannot write it
    decoded = decode(pgm if kind == "PPM" else encode(deep_ramp(), kind))
    assert decoded.shape == (32, 32, 3)
    np.testing.assert_array_equal(decoded[:, :, 0], deep_ramp() >> 8)


def test_big_endian_sixteen_bit_grey_is_scaled() -> None:
    buffer = io.BytesIO()
    Pillow.frombytes("I;16B", (32, 32), deep_ramp().astype(">u2").tobytes()).save(buffer, "TIFF")
    np.testing.assert_array_equal(decode(buffer.getvalue())[:, :, 2], deep_ramp() >> 8)


def test_twelve_bit_grey_is_scaled() -> None:
    values = deep_ramp() >> 4
    np.testing.assert_array_equal(decode(twelve_bit_tiff(values))[:, :, 0], values >> 4)


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".ppm"])
def test_sixteen_bit_colour_is_scaled_not_clipped(suffix: str) -> None:
    colour = np.stack([deep_ramp(), deep_ramp()[::-1], deep_ramp().T], axis=2)
    done, data = cv2.imencode(suffix, colour[:, :, ::-1])
    assert done
    # The PPM reader rounds.
    np.testing.assert_allclose(
        decode(data.tobytes()).astype(int), colour >> 8, atol=1 if suffix == ".ppm" else 0
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(kind: str, orientation: int) -> None:
    upright = picture()
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    decoded = decode(encode(np.ascontiguousarray(stored), kind, exif=exif.tobytes()))
    assert decoded.shape == upright.shape
    assert np.abs(decoded.astype(int) - upright).mean() < 4


def test_a_damaged_exif_block_is_ignored() -> None:
    decoded = decode(encode(picture(), "PNG", exif=b"Exif\0\0nonsense"))
    np.testing.assert_array_equal(decoded, picture())


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_the_first_of_several_frames_is_used_and_noted(kind: str) -> None:
    others = [Pillow.fromarray(picture()[::-1].copy()), Pillow.fromarray(255 - picture())]
    options = {"lossless": True} if kind == "WEBP" else {}
    decoded = decode_with_notes(encode(picture(), kind, save_all=True, append_images=others, **options))
    np.testing.assert_array_equal(decoded.image, picture())
    assert decoded.notes == ("first of 3 frames",)
    assert decode_with_notes(encode(picture(), kind)).notes == ()


def test_limits_are_inclusive() -> None:
    data = encode(picture(16, 20), "PNG")
    assert decode(data, limits=Limits(max_pixels=320, min_side=16)).shape == (16, 20, 3)
    with pytest.raises(ImageError, match="too_large"):
        decode(data, limits=Limits(max_pixels=319))
    with pytest.raises(ImageError, match="too_large"):
        decode(data, limits=Limits(max_bytes=len(data) - 1))


SEEDS = [encode(picture(), kind) for kind in ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM")]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    st.data(),
)
def test_any_damage_gives_pixels_or_a_reason(
    data: bytes, changes: list[tuple[int, int]], more: st.DataObject
) -> None:
    damaged = bytearray(data)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    end = more.draw(st.integers(0, len(damaged)))
    try:
        decoded = decode(bytes(damaged[:end]), limits=Limits(max_pixels=10_000_000))
    except ImageError:
        return
    assert decoded.dtype == np.uint8
    assert decoded.ndim == 3
    assert decoded.shape[2] == 3


def test_the_transparent_value_of_sixteen_bit_grey_becomes_white() -> None:
    values = deep_ramp()
    values[:8] = 4660
    decoded = decode(with_chunk(encode(values, "PNG"), b"tRNS", struct.pack(">H", 4660)))
    assert (decoded[:8] == 255).all()
    np.testing.assert_array_equal(decoded[8:, :, 0], values[8:] >> 8)


def test_the_transparent_colour_of_sixteen_bit_rgb_becomes_white() -> None:
    colour = np.full((32, 32, 3), 60_000, np.uint16)
    colour[:8] = [2000, 4660, 30_000]
    done, data = cv2.imencode(".png", colour[:, :, ::-1])
    assert done
    decoded = decode(with_chunk(data.tobytes(), b"tRNS", struct.pack(">HHH", 2000, 4660, 30_000)))
    assert (decoded[:8] == 255).all()
    assert (decoded[8:] == 60_000 >> 8).all()


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)


def test_heic_is_read_if_its_plugin_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    class FakePlugin(PngImagePlugin.PngImageFile):
        def __init__(self, file: io.BytesIO) -> None:
            assert file.read() == HEIC
            super().__init__(io.BytesIO(encode(picture(), "PNG")))

    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"unsupported \(format HEIC: install pillow-heif"):
        decode(HEIC, "a.jpg")
    module = types.ModuleType("pillow_heif")
    module.HeifImageFile = FakePlugin  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pillow_heif", module)
    np.testing.assert_array_equal(decode(HEIC, "a.jpg"), picture())


@pytest.mark.parametrize("orientation", [0, 9, 300])
def test_an_invalid_orientation_is_ignored(orientation: int) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(decode(encode(picture(), "PNG", exif=exif.tobytes())), picture())


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunk(png: bytes, kind: bytes, content: bytes) -> bytes:
    """Insert a chunk before the pixels of a PNG file."""
    at = png.index(b"IDAT") - 4
    return png[:at] + png_chunk(kind, content) + png[at:]


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def test_orientation_is_read_from_xmp_if_exif_has_none() -> None:
    stored = np.ascontiguousarray(picture().transpose(1, 0, 2)[::-1])
    keyword = b"XML:com.adobe.xmp\0\0\0\0\0"
    decoded = decode(with_chunk(encode(stored, "PNG"), b"iTXt", keyword + XMP))
    np.testing.assert_array_equal(decoded, picture())


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (b"zTXt", b"workflow\0\0" + zlib.compress(bytes(1_200_000))),
        (b"tEXt", b"prompt\0" + bytes(b"x" * 3_000_000)),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b" " * 3_000_000),
        (b"iCCP", b"profile\0\0" + zlib.compress(bytes(1_200_000))),
        (b"tEXt", b"damaged, without a keyword"),
    ],
    ids=["compressed text", "text", "xmp", "profile", "damaged text"],
)
def test_the_metadata_of_a_png_do_not_matter(kind: bytes, content: bytes) -> None:
    np.testing.assert_array_equal(decode(with_chunk(encode(picture(), "PNG"), kind, content)), picture())


def test_a_png_without_its_last_pixels_is_rejected_even_if_it_is_closed() -> None:
    png = encode(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8), "PNG")
    start = png.index(b"IDAT") - 4
    content = png[start + 8 : start + 8 + int.from_bytes(png[start : start + 4], "big")]
    cut = png[:start] + png_chunk(b"IDAT", content[: len(content) // 2]) + png_chunk(b"IEND", b"")
    with pytest.raises(ImageError, match="truncated"):
        decode(cut)


def photograph(side: int = 160) -> np.ndarray:
    """An image with structure at every scale, which no JPEG block reduces to a few bytes."""
    rng = np.random.default_rng(5)
    noise = sum(
        np.kron(rng.normal(0, 4 * scale, (side // scale, side // scale, 3)), np.ones((scale, scale, 1)))
        for scale in (1, 2, 4, 8, 16)
    )
    return np.clip(120 + noise, 0, 255).astype(np.uint8)


JPEG_KINDS = {
    "baseline": {},
    "optimised": {"optimize": True},
    "progressive": {"progressive": True},
    "progressive 4:4:4": {"progressive": True, "subsampling": 0},
    "restarts": {"restart_marker_blocks": 7},
    "4:4:4": {"subsampling": 0},
}


@pytest.mark.parametrize("kind", JPEG_KINDS)
@pytest.mark.parametrize("quality", [50, 95])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_an_intact_jpeg_is_decoded_like_by_pillow(kind: str, quality: int, mode: str) -> None:
    for source in (photograph(), np.full((90, 70, 3), 128, np.uint8), np.zeros((300, 300, 3), np.uint8)):
        data = encode(source, "JPEG", mode, quality=quality, **JPEG_KINDS[kind])
        decoded = decode(data)
        if mode != "CMYK":
            expected = np.asarray(Pillow.open(io.BytesIO(data)).convert("RGB"))
            np.testing.assert_array_equal(decoded, expected)


def compressed_span(data: bytes) -> tuple[int, int]:
    structure = jpeg._parse(data)
    return structure.scans[0].start, structure.scans[-1].end


@pytest.mark.parametrize("kind", JPEG_KINDS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.97])
def test_a_jpeg_that_is_cut_and_closed_is_rejected(kind: str, share: float) -> None:
    data = encode(photograph(), "JPEG", quality=90, **JPEG_KINDS[kind])
    start, end = compressed_span(data)
    cut = data[: start + round(share * (end - start))].rstrip(b"\xff")
    with pytest.raises(ImageError, match="truncated"):
        decode(cut + b"\xff\xd9")


@pytest.mark.parametrize("kind", JPEG_KINDS)
@pytest.mark.parametrize("length", [256, 2048, 10_000])
def test_a_jpeg_with_a_hole_of_zero_bytes_is_rejected(kind: str, length: int) -> None:
    data = bytearray(encode(photograph(), "JPEG", quality=90, **JPEG_KINDS[kind]))
    start, end = compressed_span(bytes(data))
    middle = (start + end) // 2
    last = min(middle + length, end)
    data[middle:last] = bytes(last - middle)
    with pytest.raises(ImageError, match="truncated"):
        decode(bytes(data))


def test_long_images_are_converted_in_blocks_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    rgba = np.dstack([photograph(), np.arange(160 * 160).reshape(160, 160) % 256]).astype(np.uint8)
    files = [
        encode(rgba, "PNG"),
        encode(photograph(), "PNG"),
        encode(photograph(), "JPEG", "CMYK"),
        encode(photograph(), "PNG", "P"),
        encode(deep_ramp(), "PNG"),
    ]
    whole = [decode(data) for data in files]
    monkeypatch.setattr(pixels, "BLOCK_PIXELS", 1000)
    for data, expected in zip(files, whole, strict=True):
        np.testing.assert_array_equal(decode(data), expected)


BOMB = """
import resource, sys
from facebench.images.decoding import decode
data = open(sys.argv[1], "rb").read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
shape = decode(data).shape
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / (shape[0] * shape[1]))
"""


@pytest.mark.parametrize("kind", ["RGBA", "CMYK"])
def test_the_memory_of_a_large_image_is_bounded(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "image"
    Pillow.new(kind, (4000, 4000)).save(path, "PNG" if kind == "RGBA" else "JPEG")
    result = subprocess.run([sys.executable, "-c", BOMB, path], capture_output=True, text=True, check=True)
    assert float(result.stdout) < BYTES_PER_PIXEL


def test_an_image_that_needs_more_memory_than_the_budget_is_rejected() -> None:
    budget = MemoryBudget(100 * BYTES_PER_PIXEL)
    with budget.reserve((10, 10), "a.png"):
        pass
    with (
        pytest.raises(ImageError, match=r"a\.png: too_large \(11x10 pixels need"),
        budget.reserve((11, 10), "a.png"),
    ):
        pass


def test_threads_wait_until_their_images_fit_in_memory() -> None:
    budget, running, most = MemoryBudget(250 * BYTES_PER_PIXEL), [], []
    lock = threading.Lock()

    def work() -> None:
        with budget.reserve((10, 10), "image"):
            with lock:
                running.append(1)
                most.append(len(running))
            threading.Event().wait(0.02)
            with lock:
                running.pop()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 2
