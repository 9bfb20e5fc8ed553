"""What a user types after a command, read strictly: one line says what is wrong and what is allowed."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from typing import NoReturn

# more than any count or seed needs, and still a number that every computation with it can hold
_DIGITS = 15
_LARGEST = 1e9


class Parser(argparse.ArgumentParser):
    """A parser that answers a mistake with one line instead of its whole usage."""

    def error(self, message: str) -> NoReturn:
        """Leave with status 2."""
        self.exit(2, f"error: {message} (`{self.prog} --help` tells more)\n")


def is_whole(text: str) -> bool:
    """Whether a text is a whole number in the digits 0 to 9; `str.isdigit` takes ² and the digits of other scripts."""
    return re.fullmatch(rf"[0-9]{{1,{_DIGITS}}}", text) is not None


def whole(least: int) -> Callable[[str], int]:
    """The reader of a whole number of at least `least`, which is not negative; for the ``type`` of an argument."""

    def read(text: str) -> int:
        if not is_whole(text) or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number; allowed: {least}, {least + 1}, ...")
        return int(text)

    return read


def positive(text: str) -> float:
    """A number above 0, e.g. 0.5 or 1e-3, at most 1e9; for the ``type`` of an argument."""
    try:
        value = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not 0 < value <= _LARGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0, e.g. 0.5")
    return value
