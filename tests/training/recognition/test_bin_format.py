"""Benchmark files: what is written can be read, and what could run code is never opened."""

from __future__ import annotations

import pickle
import random
import struct
from pathlib import Path

import pytest

from facebench.core.errors import InputError
from facebench.training.recognition.bin_format import read_bin, write_bin

IMAGES = [b"\x89PNG one", b"\xff\xd8 two", b"", b"four" * 100]
SAME = [True, False]


def test_what_is_written_can_be_read(tmp_path):
    write_bin(tmp_path / "faces.bin", IMAGES, SAME)
    benchmark = read_bin(tmp_path / "faces.bin")
    assert benchmark.images == tuple(IMAGES)
    assert benchmark.same == tuple(SAME)
    assert [path.name for path in tmp_path.iterdir()] == ["faces.bin"]


def test_insightfaces_reader_opens_what_is_written(tmp_path):
    write_bin(tmp_path / "faces.bin", IMAGES, SAME)
    with (tmp_path / "faces.bin").open("rb") as file:
        assert pickle.load(file, encoding="bytes") == (IMAGES, SAME)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_every_protocol_that_knows_bytes_is_read(tmp_path, protocol):
    path = tmp_path / "faces.bin"
    path.write_bytes(pickle.dumps((IMAGES, SAME), protocol=protocol))
    assert read_bin(path).images == tuple(IMAGES)


def test_a_file_of_python_2_is_read(tmp_path):
    """Official files were written by Python 2, whose protocol 2 holds images as strings."""
    strings = b"".join(b"T" + struct.pack("<i", len(image)) + image for image in IMAGES)
    path = tmp_path / "lfw.bin"
    path.write_bytes(b"\x80\x02](" + strings + b"e](\x88\x89e\x86.")
    benchmark = read_bin(path)
    assert benchmark.images == tuple(IMAGES)
    assert benchmark.same == tuple(SAME)


class _Attack:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (Path.touch, (self.target,))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("where", ["image", "truth", "whole"])
def test_a_hostile_pickle_is_refused_and_does_nothing(tmp_path, protocol, where):
    attack = _Attack(tmp_path / "touched")
    content = {
        "image": ([attack, b""], [True]),
        "truth": ([b"", b""], [attack]),
        "whole": attack,
    }[where]
    path = tmp_path / "hostile.bin"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(InputError, match=r"hostile\.bin.*not opened"):
        read_bin(path)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(S'true'\ntR.",  # GLOBAL, REDUCE
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",  # STACK_GLOBAL
        b"(S'true'\nios\nsystem\n.",  # INST
        b"\x80\x02\x82\x01.",  # EXT1
        b"\x80\x02U\x01xQ.",  # BINPERSID
        b"\x80\x02]r\xff\xff\xff\x7f.",  # a memo index of two thousand million
    ],
)
def test_every_way_to_reach_code_or_to_fill_the_memory_is_refused(tmp_path, data):
    path = tmp_path / "hostile.bin"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"hostile\.bin"):
        read_bin(path)


@pytest.mark.parametrize(
    "content",
    [
        ([b"one", b"two", b"three"], [True]),
        ([], []),
        ([b"one", "two"], [True]),
        ([b"one", b"two"], [1]),
        ([b"one", b"two"], [None]),
        [b"one", b"two"],
        ([b"one", b"two"], [True], []),
    ],
)
def test_anything_but_two_images_a_pair_is_refused(tmp_path, content):
    path = tmp_path / "odd.bin"
    path.write_bytes(pickle.dumps(content, protocol=4))
    with pytest.raises(InputError, match=r"odd\.bin"):
        read_bin(path)


@pytest.mark.parametrize("kept", [0, 1, 10, 40])
def test_a_damaged_file_is_refused(tmp_path, kept):
    path = tmp_path / "cut.bin"
    path.write_bytes(pickle.dumps((IMAGES, SAME), protocol=4)[:kept])
    with pytest.raises(InputError, match=r"cut\.bin"):
        read_bin(path)


def test_a_changed_file_is_read_or_refused_and_nothing_else(tmp_path):
    """Any few bytes of a sound file changed at random: a benchmark or an InputError comes out."""
    rng = random.Random(0)
    sound = pickle.dumps((IMAGES, SAME), protocol=4)
    path = tmp_path / "changed.bin"
    refused = 0
    for _ in range(300):
        data = bytearray(sound)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(70) % len(data)] = rng.randrange(256)
        path.write_bytes(bytes(data))
        try:
            read_bin(path)
        except InputError:
            refused += 1
    assert refused > 100


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"lfw\.bin"):
        read_bin(tmp_path / "lfw.bin")


def test_an_odd_benchmark_is_not_written(tmp_path):
    with pytest.raises(InputError, match="3 images"):
        write_bin(tmp_path / "odd.bin", IMAGES[:3], SAME)
    assert not list(tmp_path.iterdir())
