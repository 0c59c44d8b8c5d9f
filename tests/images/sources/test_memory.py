"""Arrays, tensors, Pillow images and functions become the same images; bad input is one line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from facebench.core.errors import InputError
from facebench.images.image_set import read
from facebench.images.memory import BUDGET
from facebench.images.sources.memory import images_in_memory

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 16, 20, 3), np.uint8)


def forms() -> dict[str, Any]:
    floats = PIXELS.astype(np.float32) / 255
    return {
        "array": PIXELS,
        "float array": floats,
        "strided": np.repeat(PIXELS, 2, axis=2)[:, :, ::2],
        "tensor": torch.from_numpy(PIXELS).permute(0, 3, 1, 2),
        "float tensor": torch.from_numpy(floats).permute(0, 3, 1, 2).requires_grad_(),
        "list": list(PIXELS),
        "pillow": [Image.fromarray(image) for image in PIXELS],
        "pairs": [(image, {}) for image in PIXELS],
        "batches": iter([PIXELS[:2], PIXELS[2:]]),
        "tensors": (torch.from_numpy(image).permute(2, 0, 1) for image in PIXELS),
    }


@pytest.mark.parametrize("form", forms())
def test_all_forms_hold_the_same_images(form: str) -> None:
    images = images_in_memory(forms()[form])
    assert (images.kind, [item.name for item in images.items]) == (
        "memory",
        [f"{i:06d}.ppm" for i in range(5)],
    )
    assert [read(item) for item in images.items] == [
        b"P6\n20 16\n255\n" + image.tobytes() for image in PIXELS
    ]


def test_a_function_is_called_until_there_are_n_images() -> None:
    asked = []

    def sample(k: int) -> np.ndarray:
        asked.append(k)
        return np.resize(PIXELS, (k, 16, 20, 3))

    assert len(images_in_memory(sample, n=150)) == 150
    assert asked == [64, 64, 22]


def test_a_network_is_a_function_and_no_array() -> None:
    with pytest.raises(InputError, match="n=5000"):
        images_in_memory(torch.nn.Identity())


def test_float_images_use_the_given_range() -> None:
    images = images_in_memory(PIXELS / 127.5 - 1, value_range=(-1, 1))
    assert read(images.items[2]).endswith(PIXELS[2].tobytes())


def test_a_later_change_of_the_array_has_no_effect() -> None:
    array = PIXELS.copy()
    images = images_in_memory(array)
    array[:] = 0
    assert read(images.items[0]).endswith(PIXELS[0].tobytes())


def test_columns_come_from_pairs_and_from_lists() -> None:
    pairs = [(image, {"identity": f"p{i}", "age": i, "none": None}) for i, image in enumerate(PIXELS)]
    images = images_in_memory(pairs, columns={"split": list("aabbb")})
    assert images.column("identity") == ["p0", "p1", "p2", "p3", "p4"]
    assert images.column("age")[3] == "3"
    assert images.column("split") == ["a", "a", "b", "b", "b"]
    assert images.columns == ("age", "identity", "split")


def test_images_of_mixed_sizes_keep_their_sizes() -> None:
    images = images_in_memory([PIXELS[0], PIXELS[1, :16, :16], Image.fromarray(PIXELS[2]).resize((30, 40))])
    assert [read(item)[:12].split(b"\n")[1] for item in images.items] == [b"20 16", b"16 16", b"30 40"]
    with pytest.raises(InputError, match="type object"):
        images_in_memory(np.array([[[[None] * 3] * 16] * 16], dtype=object))


def raising() -> Iterator[np.ndarray]:
    yield PIXELS[0]
    raise RuntimeError("out of memory\nsecond line")


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (PIXELS / 127.5 - 1, {}, r"Image 0 has values from -1 to 1, outside value_range=\(0, 1\)"),
        (np.full((2, 16, 16, 3), np.nan), {}, "has values from nan"),
        (PIXELS.astype(np.int64), {}, "type int64"),
        (PIXELS.transpose(0, 3, 1, 2), {}, r"shape \(5, 3, 16, 20\)"),
        (torch.from_numpy(PIXELS), {}, r"tensors \(n, 3, h, w\)"),
        (PIXELS[:0], {}, "is empty"),
        ([], {}, "is empty"),
        ([PIXELS[0], "a.png"], {}, "Image 1 is an object of the type str"),
        (3, {}, "type int"),
        (raising(), {}, "RuntimeError after 1: out of memory second line"),
        (PIXELS[:, :0], {}, "holds no pixel"),
        (iter(PIXELS), {"n": -1}, "n is -1"),
        (iter(PIXELS), {"n": "5"}, "n is '5'"),
        (iter(PIXELS), {"n": 9}, "ended after 5 of 9"),
        (lambda k: PIXELS[:0], {"n": 9}, "no images after 0 of 9"),
        (lambda k: PIXELS, {}, "n=5000"),
        (PIXELS, {"columns": {"identity": ["a"]}}, "'identity' is 1 values; 5"),
        (PIXELS, {"columns": {"identity": "abcde"}}, "'identity' is a text"),
    ],
)
def test_bad_input_is_one_line(images: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        images_in_memory(images, **options)
    assert "\n" not in str(caught.value)


def test_more_images_than_fit_in_memory_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BUDGET, "total", 2 * PIXELS[0].nbytes)
    with pytest.raises(InputError, match="The first 3 images"):
        images_in_memory(iter(PIXELS))
