"""Ctrl-C while a model is trained: the step is finished and kept, and then training ends."""

from __future__ import annotations

import signal
from types import FrameType


class InterruptFlag:
    """Turns the first Ctrl-C (or SIGTERM) into a wish that is granted after the step; the second one is at once."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> InterruptFlag:
        try:
            self._before = {number: signal.signal(number, self._ask) for number in self.SIGNALS}
        except ValueError:  # only the main thread may listen
            self._before = {}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
