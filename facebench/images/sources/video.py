"""Frames of video files, decoded in order by PyAV and never written to disk.

Each frame is read as a PPM file. Its columns are `clip`, the name of the file without its suffix, `frame`, its number
from 0, and `time` in seconds. A request before the window of decoded frames starts again at the first frame.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from facebench.core.errors import InputError
from facebench.images.errors import ImageError
from facebench.images.sources.content import MAX_MEMBERS
from facebench.images.sources.ppm import ppm_file

SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
WINDOW = 256 * 2**20
"""Bytes of decoded frames that are kept for readers that are behind."""


@dataclass(frozen=True)
class VideoFrame:
    """One frame of a video file."""

    file: Path
    index: int

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return the frame as a PPM file."""
        try:
            data = _frames_of(self.file, self.file.stat().st_mtime_ns).read(self.index)
        except FileNotFoundError as error:
            raise ImageError("missing", f"{self.file.name} was removed", name) from error
        except EOFError as error:
            raise ImageError("truncated", f"{self.file.name} ends before this frame", name) from error
        except (OSError, ValueError) as error:  # PyAV's errors are subclasses
            detail = " ".join(str(error).split())[:200]
            raise ImageError("truncated", f"{self.file.name}: {detail}", name) from error
        if len(data) > max_bytes:
            raise ImageError("too_large", f"more than {max_bytes} bytes", name)
        return data


class _Frames:
    """Decodes the frames of one file in order."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._decoded: Iterator[Any] | None = None
        self._next = 0
        self._window: dict[int, bytes] = {}
        self._size = 0

    def read(self, index: int) -> bytes:
        with self._lock:
            if index not in self._window:
                self._advance(index)
            return self._window[index]

    def _advance(self, index: int) -> None:
        if self._decoded is None or index < self._next:
            self._window.clear()
            self._size, self._next = 0, 0
            self._decoded = _decode(self._file)
        while self._next <= index:
            frame = next(self._decoded, None)
            if frame is None:
                self._decoded = None
                raise EOFError
            data = ppm_file(frame.to_ndarray(format="rgb24"))
            self._window[self._next] = data
            self._size += len(data)
            self._next += 1
            while self._size > WINDOW and len(self._window) > 1:
                self._size -= len(self._window.pop(next(iter(self._window))))


def _decode(file: Path) -> Iterator[Any]:
    import av

    with av.open(str(file)) as container:
        yield from container.decode(video=0)


@lru_cache(maxsize=4)
def _frames_of(file: Path, changed: int) -> _Frames:
    return _Frames(file)


def frames_of(file: Path) -> list[tuple[VideoFrame, dict[str, str]]]:
    """List the frames of a video file and their columns, without decoding them.

    Raises:
        InputError: PyAV is missing, or the file is damaged or has no video.
    """
    times = _times(file)
    if not times:
        raise InputError(f"{file} has no frames. Copy it again.")
    if len(times) > MAX_MEMBERS:
        raise InputError(f"{file} has {len(times):,} frames; at most {MAX_MEMBERS:,} are read.")
    return [
        (VideoFrame(file, i), {"clip": file.stem, "frame": str(i), "time": f"{time - times[0]:.6f}"})
        for i, time in enumerate(times)
    ]


def _times(file: Path) -> list[float]:
    """Return the time of each frame in seconds, in order."""
    try:
        import av
    except ImportError:
        raise InputError(f"{file} is a video; reading it needs: pip install 'facebench[sources]'") from None
    try:
        with av.open(str(file)) as container:
            if not container.streams.video:
                raise InputError(f"{file} has no video stream.")
            stream = container.streams.video[0]
            rate = float(stream.average_rate or 0) or 25.0
            packets = [packet for packet in container.demux(stream) if packet.size and not packet.is_discard]
            times = [
                float(packet.pts * packet.time_base) if packet.pts is not None else i / rate
                for i, packet in enumerate(packets)
            ]
    except (OSError, ValueError) as error:  # PyAV's errors are subclasses
        detail = " ".join(str(error).split())[:200]
        raise InputError(f"{file} is not a readable video: {detail}. Copy it again.") from error
    return sorted(times)
