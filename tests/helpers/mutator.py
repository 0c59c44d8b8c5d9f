"""Reproducible damage to files and JSON values, for the fuzz tests.

The environment variable FACEBENCH_FUZZ multiplies the number of cases: 1 by default, for example 50 for an hour.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import random
import signal
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

FACTOR = int(os.environ.get("FACEBENCH_FUZZ", "1"))
_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF)


def cases(count: int) -> range:
    """Return the seeds of a test: `count` of them, times FACEBENCH_FUZZ."""
    return range(count * FACTOR)


class Hang(Exception):
    """A case took too long."""


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise `Hang` in the block after some seconds; only on POSIX and in the main thread.

    Raises:
        Hang: the block takes longer.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise Hang(f"longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def mutate(data: bytes, seed: int) -> bytes:
    """Damage bytes in one to four places, in a way that depends on the seed only."""
    rng = random.Random(seed)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice(_DAMAGES)(data, rng)
    return data


def _flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 3, 20))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _remove(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + data[start + rng.choice((1, 2, 4, 64, 1000)) :]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    part = data[start : start + rng.choice((1, 4, 64, 1000))]
    return data[:start] + part * rng.choice((2, 3, 50)) + data[start:]


def _zeros(data: bytes, rng: random.Random) -> bytes:
    start, length = rng.randrange(len(data) + 1), rng.choice((1, 4, 64, 512, 4096))
    return data[:start] + bytes(min(length, len(data) - start)) + data[start + length :]


def _noise(data: bytes, rng: random.Random) -> bytes:
    start, length = rng.randrange(len(data) + 1), rng.choice((1, 4, 64))
    return data[:start] + rng.randbytes(length) + data[start + length * rng.randrange(2) :]


def _number(data: bytes, rng: random.Random) -> bytes:
    form = rng.choice(("<B", "<H", ">H", "<I", ">I", "<Q", ">Q"))
    width = struct.calcsize(form)
    if len(data) < width:
        return data
    start = rng.randrange(len(data) - width + 1)
    value = rng.choice(_EXTREMES) & ((1 << 8 * width) - 1)
    return data[:start] + struct.pack(form, value) + data[start + width :]


def _header(data: bytes, rng: random.Random) -> bytes:
    """Damage the first bytes, where sizes and types are declared."""
    length = min(len(data), 256)
    return rng.choice((_flip, _noise, _number, _zeros))(data[:length], rng) + data[length:]


_DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip, _flip, _cut, _remove, _repeat, _zeros, _noise, _number, _header,
)  # fmt: skip

_NASTY = (
    "null", "true", "-1", "0", "1e999", "-1e308", "1e-320", "NaN", "Infinity", "1" + "0" * 400, "9" * 25,
    '""', "[]", "{}",
    '"text"', r'"\ud800"', r'"a\u0000b"', '"2020-13-45"', '"=1+1"', '"<script>"', "[[[1]]]", "[" * 2000 + "]" * 2000,
    '"' + "x" * 5000 + '"', "0.5", "[0.5, 2]", '{"a": 1}', "1000000000", "-0.0",
)  # fmt: skip
_MARK = "\x00MARK\x00"


def mutate_json(value: Any, seed: int) -> str:
    """Return JSON text in which one to three values are replaced, removed, added or renamed."""
    rng = random.Random(seed)
    value = copy.deepcopy(value)
    marks: list[str] = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        holders = list(_containers(value))
        if not holders:
            break
        _change(rng.choice(holders), rng, marks)
    text = json.dumps(value)
    for number, nasty in enumerate(marks):
        text = text.replace(json.dumps(f"{_MARK}{number}"), nasty)
    return text


def _containers(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        if value:
            yield value
        for part in value.values() if isinstance(value, dict) else value:
            yield from _containers(part)


def _change(holder: Any, rng: random.Random, marks: list[str]) -> None:
    keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    key, action = rng.choice(keys), rng.choice(("replace", "replace", "replace", "remove", "add", "rename"))
    if action == "remove":
        del holder[key]
        return
    if action == "rename" and isinstance(holder, dict):
        holder[f"{key}x"] = holder.pop(key)
        return
    marks.append(rng.choice(_NASTY))
    mark = f"{_MARK}{len(marks) - 1}"
    if action == "add" and isinstance(holder, dict):
        holder[f"new{len(marks)}"] = mark
    elif action == "add":
        holder.append(mark)
    else:
        holder[key] = mark
