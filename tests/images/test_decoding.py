"""One policy turns every kind of image file into RGB pixels, or says why not."""

from __future__ import annotations

import io
import warnings

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageFile

from facebench.images.image_set import ImageError, Limits, decode, decode_with_notes
from tests.helpers.image_files import bad_files, encode, picture, twelve_bit_tiff, without_adobe_marker

BAD = bad_files()


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_its_reason_and_without_a_warning(name: str) -> None:
    data, reason = BAD[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match=name) as caught:
            decode(data, name)
    assert caught.value.reason == reason
    assert caught.value.detail in str(caught.value)


def test_truncated_files_stay_refused_when_another_library_tells_pillow_to_fill_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(ImageError, match="truncated"):
        decode(BAD["half.jpg"][0])


@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("PPM", {}), ("WEBP", {"lossless": True, "exact": True})],
)
def test_lossless_formats_give_back_every_pixel(kind: str, options: dict[str, bool]) -> None:
    decoded = decode(encode(picture(), kind, **options), "named_wrongly.jpg")
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous
    np.testing.assert_array_equal(decoded, picture())


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_formats_come_close(kind: str) -> None:
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
def test_transparency_lies_over_white(kind: str) -> None:
    alpha = np.arange(40 * 56).reshape(40, 56, 1) % 256
    rgba = np.concatenate([picture(), alpha], axis=2).astype(np.uint8)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    share = alpha / 255
    np.testing.assert_allclose(
        decode(encode(rgba, kind, **options)), picture() * share + 255 * (1 - share), atol=0.5001
    )


def test_grey_with_alpha_lies_over_white() -> None:
    grey_alpha = np.zeros((20, 20, 2), np.uint8)
    grey_alpha[:10, :, 1] = 255
    decoded = decode(encode(grey_alpha, "PNG"))
    assert (decoded[:10] == 0).all()
    assert (decoded[10:] == 255).all()


def test_the_transparent_colours_of_a_palette_lie_over_white() -> None:
    image = Pillow.new("P", (20, 20), 0)
    image.putpalette([200, 30, 30, 10, 20, 30])
    image.paste(1, (0, 0, 20, 10))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=0)
    decoded = decode(buffer.getvalue())
    assert (decoded[:10] == [10, 20, 30]).all()
    assert (decoded[10:] == 255).all()


def test_an_opaque_palette_is_looked_up() -> None:
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
def test_inks_become_light(kind: str) -> None:
    buffer = io.BytesIO()
    Pillow.frombytes("CMYK", (32, 32), cmyk().tobytes()).save(buffer, kind)
    decoded = decode(buffer.getvalue())
    np.testing.assert_allclose(decoded[4, 4], [0, 255, 255], atol=2)
    np.testing.assert_allclose(decoded[28, 28], [204, 163, 0], atol=2)


def test_inks_of_a_jpeg_without_adobes_marker_are_not_inverted() -> None:
    buffer = io.BytesIO()
    Pillow.frombytes("CMYK", (32, 32), (255 - cmyk()).tobytes()).save(buffer, "JPEG")
    decoded = decode(without_adobe_marker(buffer.getvalue()))
    np.testing.assert_allclose(decoded[4, 4], [0, 255, 255], atol=2)
    np.testing.assert_allclose(decoded[28, 28], [204, 163, 0], atol=2)


def deep_ramp() -> np.ndarray:
    return np.linspace(0, 65535, 32 * 32).astype(np.uint16).reshape(32, 32)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_scaled_not_clipped(kind: str) -> None:
    decoded = decode(encode(deep_ramp(), kind))
    assert decoded.shape == (32, 32, 3)
    np.testing.assert_array_equal(decoded[:, :, 0], deep_ramp() >> 8)


def test_big_endian_sixteen_bit_grey_is_the_same() -> None:
    buffer = io.BytesIO()
    Pillow.frombytes("I;16B", (32, 32), deep_ramp().astype(">u2").tobytes()).save(buffer, "TIFF")
    np.testing.assert_array_equal(decode(buffer.getvalue())[:, :, 2], deep_ramp() >> 8)


def test_twelve_bit_grey_spans_the_range() -> None:
    values = deep_ramp() >> 4
    np.testing.assert_array_equal(decode(twelve_bit_tiff(values))[:, :, 0], values >> 4)


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".ppm"])
def test_sixteen_bit_colour_is_scaled_not_clipped(suffix: str) -> None:
    colour = np.stack([deep_ramp(), deep_ramp()[::-1], deep_ramp().T], axis=2)
    done, data = cv2.imencode(suffix, colour[:, :, ::-1])
    assert done
    # One grey level: PPM is rounded by its reader.
    np.testing.assert_allclose(
        decode(data.tobytes()).astype(int), colour >> 8, atol=1 if suffix == ".ppm" else 0
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_cameras_rotation_is_undone(kind: str, orientation: int) -> None:
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


def test_a_broken_exif_block_does_not_cost_the_image() -> None:
    decoded = decode(encode(picture(), "PNG", exif=b"Exif\0\0nonsense"))
    np.testing.assert_array_equal(decoded, picture())


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_the_first_of_several_frames_is_read_and_noted(kind: str) -> None:
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
