"""Signals that ask a training to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)


class StopRequest:
    """Whether a signal asked the training to stop: `signal` is its name, e.g. ``SIGTERM``, or None."""

    def __init__(self) -> None:
        self.signal: str | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Note a signal: the handler that is installed."""
        self.signal = signal.Signals(number).name


@contextmanager
def stop_requests(listen: bool = True) -> Iterator[StopRequest]:
    """Turn SIGTERM, SIGINT and SIGUSR2 into a request that the training answers at its next step boundary.

    Without `listen`, or outside of the main thread (which alone gets signals), the handlers stay as they are; else
    those from before are back afterwards.
    """
    request = StopRequest()
    if not listen or threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request) for number in STOP_SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            # None: a handler that was not installed from Python, which cannot be put back
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
