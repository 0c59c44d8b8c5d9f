"""Benchmark files: round trip, compatibility with insightface, and refusal of unsafe pickles."""

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


def test_a_written_file_can_be_read(tmp_path):
    write_bin(tmp_path / "faces.bin", IMAGES, SAME)
    benchmark = read_bin(tmp_path / "faces.bin")
    assert benchmark.images == tuple(IMAGES)
    assert benchmark.same == tuple(SAME)
    assert [path.name for path in tmp_path.iterdir()] == ["faces.bin"]


def test_insightface_can_read_a_written_file(tmp_path):
    write_bin(tmp_path / "faces.bin", IMAGES, SAME)
    with (tmp_path / "faces.bin").open("rb") as file:
        assert pickle.load(file, encoding="bytes") == (IMAGES, SAME)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_every_protocol_with_a_bytes_type_is_read(tmp_path, protocol):
    path = tmp_path / "faces.bin"
    path.write_bytes(pickle.dumps((IMAGES, SAME), protocol=protocol))
    assert read_bin(path).images == tuple(IMAGES)


def test_a_file_of_python_2_is_read(tmp_path):
    """The official files were written by Python 2, whose protocol 2 stores images as strings."""
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
@pytest.mark.parametrize("position", ["image", "label", "whole"])
def test_a_pickle_with_code_is_refused_and_the_code_does_not_run(tmp_path, protocol, position):
    attack = _Attack(tmp_path / "touched")
    content = {
        "image": ([attack, b""], [True]),
        "label": ([b"", b""], [attack]),
        "whole": attack,
    }[position]
    path = tmp_path / "attack.bin"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(InputError, match=r"attack\.bin.*not opened"):
        read_bin(path)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"cos\nsystem\n(S'true'\ntR.", id="GLOBAL and REDUCE"),
        pytest.param(b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.", id="STACK_GLOBAL"),
        pytest.param(b"(S'true'\nios\nsystem\n.", id="INST"),
        pytest.param(b"\x80\x02\x82\x01.", id="EXT1"),
        pytest.param(b"\x80\x02U\x01xQ.", id="BINPERSID"),
        pytest.param(b"\x80\x02}b.", id="BUILD"),
        pytest.param(b"\x80\x02]r\xff\xff\xff\x7f.", id="memo index of two thousand million"),
        pytest.param(b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.", id="bytes of one terabyte"),
        pytest.param(b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"].", id="frame of one terabyte"),
        pytest.param(b"\x80\x04" + b"]" * 1000 + b".", id="a thousand lists"),
        pytest.param(b"\x80\x04]" + b"\x85" * 1000 + b".", id="a thousand nested tuples"),
        pytest.param(b"\x80\x04]\x94h\x00a.", id="list in itself"),
    ],
)
def test_instructions_that_reach_code_or_exhaust_memory_are_refused(tmp_path, data):
    path = tmp_path / "attack.bin"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"attack\.bin"):
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
def test_content_other_than_two_images_per_pair_is_refused(tmp_path, content):
    path = tmp_path / "odd.bin"
    path.write_bytes(pickle.dumps(content, protocol=4))
    with pytest.raises(InputError, match=r"odd\.bin"):
        read_bin(path)


@pytest.mark.parametrize("kept", [0, 1, 10, 40])
def test_a_truncated_file_is_refused(tmp_path, kept):
    path = tmp_path / "cut.bin"
    path.write_bytes(pickle.dumps((IMAGES, SAME), protocol=4)[:kept])
    with pytest.raises(InputError, match=r"cut\.bin"):
        read_bin(path)


def test_random_changes_of_bytes_give_a_benchmark_or_an_input_error(tmp_path):
    rng = random.Random(0)
    valid = pickle.dumps((IMAGES, SAME), protocol=4)
    path = tmp_path / "changed.bin"
    refused = 0
    for _ in range(300):
        data = bytearray(valid)
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


def test_an_invalid_benchmark_is_not_written(tmp_path):
    with pytest.raises(InputError, match="3 images"):
        write_bin(tmp_path / "odd.bin", IMAGES[:3], SAME)
    assert not list(tmp_path.iterdir())
