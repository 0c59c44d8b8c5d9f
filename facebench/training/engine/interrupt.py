"""Ctrl-C and SIGTERM during training: the current step is completed and saved before training stops."""

from __future__ import annotations

import signal
from types import FrameType


class InterruptFlag:
    """Context manager whose `requested` becomes true at the first Ctrl-C or SIGTERM; the second one raises."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> InterruptFlag:
        try:
            self._previous = {number: signal.signal(number, self._request) for number in self.SIGNALS}
        except ValueError:  # signal handlers exist in the main thread only
            self._previous = {}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
