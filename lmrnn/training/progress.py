"""How far a training has come: lines for its log, and a bar on the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import timedelta

BAR_WIDTH = 30
LINE_SECONDS = 30  # a log does not stay silent for longer, however rare evaluations are
BAR_SECONDS = 0.1


class Progress:
    """Report the course of a training of so many steps, of which this process begins at step `first`.

    `say` gets the lines of the log, `record` the same for programs (step, steps, and steps done and seconds taken by
    this process); with `bar` a progress bar is drawn on the terminal (standard error).
    """

    def __init__(
        self,
        steps: int,
        first: int,
        say: Callable[[str], object],
        bar: bool = False,
        record: Callable[..., object] = lambda event, **fields: None,
    ) -> None:
        self.steps, self.first, self.say, self.record = steps, first, say, record
        self.terminal = sys.stderr if bar else None
        self.began = self.said = time.monotonic()
        self.drawn = 0.0

    def pace(self, step: int) -> str:
        """Steps per second and time left, evaluations included."""
        rate = (step - self.first) / max(time.monotonic() - self.began, 1e-9)
        if rate == 0:
            return "time left unknown"
        return f"{rate:.1f} steps/s, time left {timedelta(seconds=round((self.steps - step) / rate))}"

    def report(self, step: int, history: dict[str, list]) -> None:
        """Log the evaluation that the history ends with."""
        loss = f"loss {history['loss'][-1]:.4f}, " if step else ""
        accuracy = f"decision accuracy {history['decision_accuracy'][-1]:.4f}"
        self._log(f"step {step}/{self.steps}, {loss}{accuracy}, {self.pace(step)}", step)

    def show(self, step: int) -> None:
        """Note a step: moves the bar, and breaks a long silence of the log."""
        now = time.monotonic()
        if now - self.said > LINE_SECONDS:
            self._log(f"step {step}/{self.steps}, {self.pace(step)}", step)
        if self.terminal and now - self.drawn > BAR_SECONDS:
            self.drawn = now
            self._draw(step)

    def close(self, step: int) -> None:
        """Finish the bar."""
        if self.terminal:
            self._draw(step)
            print(file=self.terminal, flush=True)

    def _log(self, line: str, step: int) -> None:
        self.said = time.monotonic()
        seconds = round(self.said - self.began, 3)
        self.record("step", step=step, steps=self.steps, done=step - self.first, seconds=seconds)
        if self.terminal:
            print("\r\033[K", end="", file=self.terminal, flush=True)
        self.say(line)

    def _draw(self, step: int) -> None:
        filled = BAR_WIDTH * step // self.steps
        bar = "#" * filled + "-" * (BAR_WIDTH - filled)
        print(f"\r[{bar}] {step}/{self.steps} {self.pace(step)}\033[K", end="", file=self.terminal, flush=True)
