"""Each warning about the inputs appears on sets that deserve it, and on no other; --strict makes it an error."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import facebench
from facebench.core.errors import InputError
from facebench.evaluation.input_sanity import SetProperties, jpeg_quality, sanity_warnings
from facebench.synthface import FaceModel

PLAIN = SetProperties(framing=0.6, resolution=256, sharpness=400.0, jpeg_quality=95, grey=0.0, n=40)
PATHS = {"generated": "samples", "reference": "photographs"}


def warnings(reference: SetProperties) -> list[str]:
    return sanity_warnings({"generated": PLAIN, "reference": reference}, PATHS)


@pytest.mark.parametrize(
    ("change", "start"),
    [
        ({"framing": 0.4}, "framing differs: the face takes 60% of the height of generated images and 40%"),
        ({"resolution": 112}, "resolution differs: 256 pixels in generated images and 112"),
        ({"sharpness": 90.0}, "sharpness differs"),
        ({"jpeg_quality": 60}, "compression differs: JPEG quality 95 in generated files and 60"),
        ({"grey": 0.5}, "colour differs: 0% of generated and 50%"),
    ],
)
def test_each_difference_is_one_warning_with_a_remedy(change: dict[str, float], start: str) -> None:
    (text,) = warnings(replace(PLAIN, **change))
    assert text.startswith(start)
    assert ";" in text


def test_equal_and_similar_sets_give_no_warning() -> None:
    near = SetProperties(framing=0.55, resolution=300, sharpness=250.0, jpeg_quality=90, grey=0.1, n=40)
    assert warnings(PLAIN) == warnings(near) == []


def test_missing_faces_and_few_images_give_no_warning() -> None:
    assert warnings(replace(PLAIN, framing=None, sharpness=None)) == []
    assert warnings(replace(PLAIN, framing=0.2, n=3)) == []


@pytest.mark.parametrize("quality", [30, 50, 75, 92, 100])
def test_the_jpeg_quality_is_that_of_the_encoder(quality: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    assert jpeg_quality(stream.getvalue()) == pytest.approx(quality, abs=1)


def test_a_file_of_another_format_has_quality_100() -> None:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(stream, "PNG")
    assert jpeg_quality(stream.getvalue()) == 100


@pytest.mark.parametrize("text", [b"zTXt", b"iCCP"])
def test_long_metadata_of_a_png_and_damaged_headers_have_no_jpeg_quality(text: bytes) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (32, 32)).save(stream, "PNG")
    png = stream.getvalue()
    chunk = text + b"name\0\0" + zlib.compress(bytes(1_200_000))
    long = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    assert jpeg_quality(png[:33] + long + png[33:]) == 100
    assert jpeg_quality(b"\xff\xd8\xff\xe0\0\x10JFIF") == 100


def test_strict_refuses_sets_of_other_framing_and_names_the_command(tmp_path: Path) -> None:
    model = FaceModel()
    for name, seed in (("generated", 1), ("reference", 2)):
        (tmp_path / name).mkdir()
        for index, image in enumerate(model.render(model.sample(6, seed=seed, images=1), 128)):
            shown = np.pad(image, ((48, 48), (48, 48), (0, 0))) if name == "reference" else image
            Image.fromarray(shown).save(tmp_path / name / f"{index}.png")
    sets = tmp_path / "generated", tmp_path / "reference"
    run = facebench.evaluate(*sets, metrics="face_quality_sface,fd_lite0")
    (text,) = [warning for warning in run.warnings if warning.startswith("framing differs")]
    assert f"facebench align {sets[0]} NEW" in text
    assert run.inputs["reference"].framing < run.inputs["generated"].framing
    with pytest.raises(InputError, match=r"--strict: the image sets differ\. .*framing differs"):
        facebench.evaluate(*sets, metrics="face_quality_sface,fd_lite0", strict=True)
    assert facebench.evaluate(sets[0], sets[0], metrics="fd_lite0").warnings != []  # shared pictures
