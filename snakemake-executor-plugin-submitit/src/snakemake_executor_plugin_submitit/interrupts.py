"""Ctrl-C, pressed twice by an impatient hand, must not keep the first one from cancelling what runs."""

from __future__ import annotations

import _thread
import signal
import threading
import time
from logging import Logger
from types import FrameType
from typing import Any

# So long a further Ctrl-C is only noted; later ones go through, should the first have been lost.
SECONDS = 10.0
# After this time without any cancelling, the first one was lost: Snakemake's log handler lets none through that comes
# while the main thread writes a line.
LOST_SECONDS = 5.0


class Patience:
    """From its making until `over`, the first SIGINT is handled as before, and those that follow within seconds are
    not. Does nothing outside of the main thread, where signals cannot be handled.
    """

    def __init__(self, logger: Logger) -> None:
        self.logger = logger
        self.first: float | None = None
        self.heard = False  # whether cancelling has begun
        self.before: Any = None
        if threading.current_thread() is threading.main_thread():
            self.before = signal.getsignal(signal.SIGINT)
            if callable(self.before):
                signal.signal(signal.SIGINT, self._heed)

    def _heed(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.first is not None and now - self.first < SECONDS:
            self.logger.warning("submitit: already cancelling")
            return
        self.first = now
        self.before(number, frame)

    def insist(self) -> None:
        """Called now and then from another thread: interrupt the main one again where the first SIGINT was lost."""
        if self.first is not None and not self.heard and time.monotonic() - self.first > LOST_SECONDS:
            self.first = None
            _thread.interrupt_main()

    def over(self) -> None:
        """Handle SIGINT as before; from another thread than the main one this waits for the main one's own call."""
        if threading.current_thread() is threading.main_thread() and callable(self.before):
            signal.signal(signal.SIGINT, self.before)
            self.before = None
