"""The settings of a kind of connectivity: what each may be, and how a label shows it."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from lmrnn.errors import ConnectivityError

# Text that a label shows as it is: fit for a file's name, and no number, so that 1 and "1" have different labels.
_PLAIN = re.compile(r"(?!True$|False$|None$)[A-Za-z_][A-Za-z0-9_.]{0,23}")
_DIGITS = 12  # of a digest in a label; two texts with the same are not met by chance


def digest(text: str) -> str:
    """A few hex digits that stand for a text in a label."""
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def shown(value: object) -> str:
    """A value as a label shows it: different for different values, and fit for a file's name."""
    if isinstance(value, (bool, int, float)) or value is None:
        return repr(value)
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    return f"{re.sub('[^A-Za-z0-9]+', '_', str(value))[:12]}.{digest(json.dumps(value, sort_keys=True))}"


@dataclass(frozen=True)
class Key:
    """A setting that may be any text, number or truth value; its default, where ``...`` says that it must be given."""

    default: Any = ...

    def allowed(self, value: object, spec: Mapping[str, Any], neurons: int) -> str:
        """What is allowed in a network of this size, where the value is not; else an empty text."""
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            return "text, a finite number, true or false"
        return ""

    def label(self, name: str, value: object) -> str:
        """How a label shows the value; empty where a label does without it."""
        return f"{name}{shown(value)}"


@dataclass(frozen=True)
class Number(Key):
    """A number in (low, high], or [low, high] with `closed`; a label shows it behind `letter`, or the key's name."""

    low: float = -math.inf
    high: float | Callable[[Mapping[str, Any], int], float] = math.inf
    closed: bool = False
    letter: str = ""

    def allowed(self, value: object, spec: Mapping[str, Any], neurons: int) -> str:
        """The range, where the value lies outside."""
        high = self.high(spec, neurons) if callable(self.high) else self.high
        number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
        if number and self.low <= value <= high and (self.closed or value != self.low):  # type: ignore[operator]
            return ""
        return f"a number in {'[' if self.closed else '('}{self.low}, {high:.6g}]"

    def label(self, name: str, value: object) -> str:
        """Letter and number."""
        return f"{self.letter or name}{value!r}"


@dataclass(frozen=True)
class Choice(Key):
    """One of several values; a label shows the text that stands for it."""

    texts: tuple[tuple[Any, str], ...] = ()

    def allowed(self, value: object, spec: Mapping[str, Any], neurons: int) -> str:
        """The choices, where the value is none of them."""
        if any(type(value) is type(choice) and value == choice for choice, _ in self.texts):
            return ""
        return ", ".join(choice if isinstance(choice, str) else json.dumps(choice) for choice, _ in self.texts)

    def label(self, name: str, value: object) -> str:
        """The text of the choice."""
        return dict(self.texts)[value]


@dataclass(frozen=True)
class Boundary(Choice):
    """What happens at the edges of a square sheet; a kind with this key lies on one."""

    def allowed(self, value: object, spec: Mapping[str, Any], neurons: int) -> str:
        """The boundaries; refuses a number of neurons that is no square."""
        side = math.isqrt(neurons)
        if side * side != neurons:
            allowed = f"a square number for a sheet, e.g. {side * side} or {(side + 1) ** 2}"
            raise ConnectivityError(f"connectivity {spec['kind']}: neurons is {neurons}; allowed: {allowed}")
        return super().allowed(value, spec, neurons)


def _farthest(spec: Mapping[str, Any], neurons: int) -> float:
    """Distance beyond which every neuron reaches every other one: across a sheet, or along a line."""
    return math.sqrt(2 * neurons) if "boundary" in spec else neurons


class Digest(Key):
    """A digest, of which a label shows the first digits."""

    def label(self, name: str, value: object) -> str:
        """As many digits as tell files apart."""
        return digest(str(value))


# Keys of these names mean the same in every kind.
COMMON: dict[str, Key] = {
    "radius": Number(low=0, high=_farthest, letter="r"),
    "density": Number(low=0, high=1, letter="d"),
    "rewired": Number(low=0, high=1, closed=True, letter="p"),
    "boundary": Boundary(texts=(("open", ""), ("torus", "torus"))),
    "self_connections": Choice(texts=((True, ""), (False, "noself"))),
}
