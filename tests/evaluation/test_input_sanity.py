"""Each warning about the inputs appears on sets that deserve it, and on no other; --strict makes it an error."""

from __future__ import annotations

import io
import re
import shutil
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import facebench
from facebench import cli
from facebench.backbones import detector
from facebench.core.errors import InputError
from facebench.evaluation.input_sanity import SetProperties, jpeg_quality, properties_of, sanity_warnings
from facebench.features.extraction import extract
from facebench.features.store.sqlite import Store
from facebench.images.image_set import ImageSet
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


FACES = 6


@pytest.fixture(scope="module")
def rendered() -> list[np.ndarray]:
    model = FaceModel()
    return list(model.render(model.sample(FACES, seed=1, images=1), 160))


def put(folder: Path, images: list[np.ndarray], **options: Any) -> Path:
    """Write images as PNG, or as JPEG of a quality."""
    folder.mkdir()
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index}.{'jpg' if options else 'png'}", **options)
    return folder


def measured(*folders: Path) -> list[str]:
    """Warnings about a generated and a reference folder."""
    roles = dict(zip(("generated", "reference"), folders, strict=True))
    finder = detector("yunet")
    sets = {
        role: properties_of(extract(ImageSet.open(folder), [], store=None), finder)
        for role, folder in roles.items()
    }
    return sanity_warnings(sets, {role: str(folder) for role, folder in roles.items()})


def blurred(image: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), 3)


def small(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, (80, 80), interpolation=cv2.INTER_AREA)


def padded(image: np.ndarray) -> np.ndarray:
    return cv2.resize(np.pad(image, ((48, 48), (48, 48), (0, 0))), (160, 160), interpolation=cv2.INTER_AREA)


def grey(image: np.ndarray) -> np.ndarray:
    return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


@pytest.mark.parametrize(
    ("change", "warning"),
    [(padded, "framing"), (small, "resolution"), (blurred, "sharpness"), (grey, "colour")],
)
def test_each_warning_appears_for_images_that_deserve_it(
    rendered: list[np.ndarray], tmp_path: Path, change: Any, warning: str
) -> None:
    plain = put(tmp_path / "plain", rendered)
    changed = put(tmp_path / "changed", [change(image) for image in rendered])
    started = {text.split(" differs")[0] for text in measured(plain, changed)}
    assert warning in started
    # Padding and shrinking also change the pixels of the face.
    assert started <= {warning, "sharpness"}
    assert measured(plain, plain) == []


def commands_of(warning: str) -> list[list[str]]:
    """Arguments of the commands in a warning."""
    return [text.split()[1:] for text in re.findall(r"facebench align [^,;]+", warning)]


def test_the_command_of_the_compression_warning_compresses_both_sets_alike(
    rendered: list[np.ndarray], tmp_path: Path
) -> None:
    sets = put(tmp_path / "plain", rendered), put(tmp_path / "compressed", rendered, quality=40)
    (warning,) = measured(*sets)
    assert warning.startswith(
        "compression differs: JPEG quality 100 in generated files and 40 in reference files"
    )
    repaired = []
    for command in commands_of(warning):
        out = tmp_path / f"new{len(repaired)}"
        assert cli.run_command([str(out) if word == "NEW" else word for word in command]) == 0
        repaired.append(out)
    assert len(repaired) == 2
    assert measured(*repaired) == []
    (image, *_) = sorted(repaired[0].glob("*.jpg"))
    assert jpeg_quality(image.read_bytes()) == pytest.approx(40, abs=1)


@pytest.mark.parametrize(("change", "warning"), [(padded, "framing"), (small, "resolution")])
def test_the_commands_of_the_other_warnings_repair_what_they_name(
    rendered: list[np.ndarray], tmp_path: Path, change: Any, warning: str
) -> None:
    sets = put(tmp_path / "plain", rendered), put(tmp_path / "changed", [change(image) for image in rendered])
    (text,) = [text for text in measured(*sets) if text.startswith(warning)]
    repaired = []
    for command in commands_of(text):
        repaired.append(tmp_path / f"new{len(repaired)}")
        assert cli.run_command([str(repaired[-1]) if word == "NEW" else word for word in command]) == 0
    assert not [text for text in measured(*repaired) if text.startswith(warning)]


def test_strict_refuses_sets_that_differ_and_accepts_sets_that_do_not(
    rendered: list[np.ndarray], tmp_path: Path
) -> None:
    sets = put(tmp_path / "plain", rendered), put(tmp_path / "padded", [padded(image) for image in rendered])
    options = {"metrics": "face_quality_sface,fd_lite0", "domain": "rendered"}
    run = facebench.evaluate(*sets, **options)
    assert [text for text in run.warnings if text.startswith("framing differs")]
    assert run.inputs["reference"].framing < run.inputs["generated"].framing
    with pytest.raises(InputError, match=r"--strict: the image sets differ\. .*framing differs"):
        facebench.evaluate(*sets, **options, strict=True)
    other = put(tmp_path / "mirrored", [np.ascontiguousarray(image[:, ::-1]) for image in rendered])
    assert facebench.evaluate(sets[0], other, **options, strict=True).metrics["fd_lite0"].value is not None


def test_properties_of_known_images_come_from_the_store(rendered: list[np.ndarray], tmp_path: Path) -> None:
    folder, store = (
        put(tmp_path / "set", [*rendered, np.zeros((160, 160, 3), np.uint8)]),
        Store(tmp_path / "store"),
    )
    extraction = extract(ImageSet.open(folder), [], store=None)
    first = properties_of(extraction, detector("yunet"), store)
    shutil.rmtree(folder)
    assert properties_of(extraction, detector("yunet"), store) == first
    assert first.n == FACES + 1
