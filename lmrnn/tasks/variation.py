"""What a study changes in its tasks: how long periods last, how strong the noise is and where it belongs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmrnn.errors import ConfigError

NOISE_WHERE = ("stimuli", "throughout")
KEYS = ("timing", "noise", "noise_where")
_LONGEST_MS = 1_000_000
_SPAN = "a number of ms, or [low, high] or [low, high, grid]: low, low + grid, ... below high, at steps of dt or grid"
Timing = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Variation:
    """`timing`: spans of periods in ms by name, (duration,), (low, high) or (low, high, grid), in every task that has
    such a period; `noise` >= 0: factor of the noise's standard deviation; `noise_where`: on ``stimuli``, as each task
    defines it, or ``throughout``: on all channels at all time steps. Raises ConfigError on what is none of these.
    """

    timing: Timing = ()
    noise: float = 1.0
    noise_where: str = "stimuli"

    def __post_init__(self) -> None:
        pairs = self.timing.items() if isinstance(self.timing, Mapping) else self.timing
        object.__setattr__(self, "timing", tuple(sorted((name, _numbers(name, span)) for name, span in pairs)))
        number = isinstance(self.noise, (int, float)) and not isinstance(self.noise, bool)
        if not number or not 0 <= self.noise < math.inf:
            raise ConfigError(f"noise: {self.noise!r} is no factor of the noise; allowed: a number >= 0")
        if self.noise_where not in NOISE_WHERE:
            raise ConfigError(f"noise_where: {self.noise_where!r} is none of {', '.join(NOISE_WHERE)}")
        object.__setattr__(self, "noise", float(self.noise))

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Variation:
        """What a spec or a configuration says; its other keys are ignored."""
        return cls(**{key: spec[key] for key in KEYS if key in spec})

    @property
    def spec(self) -> dict[str, Any]:
        """What a spec holds of it: what differs from the battery, in one notation."""
        found: dict[str, Any] = {}
        if self.timing:
            found["timing"] = {name: span[0] if len(span) == 1 else list(span) for name, span in self.timing}
        if self.noise != 1:
            found["noise"] = self.noise
        if self.noise_where != "stimuli":
            found["noise_where"] = self.noise_where
        return found


AS_IT_IS = Variation()


def _numbers(name: str, span: Any) -> tuple[int, ...]:
    """A span as whole numbers in one notation: [500, 500] is 500."""
    numbers = tuple(span) if isinstance(span, (list, tuple)) else (span,)
    whole = all(isinstance(one, int) and not isinstance(one, bool) for one in numbers)
    if not whole or not 1 <= len(numbers) <= 3 or not all(0 <= one <= _LONGEST_MS for one in numbers):
        raise ConfigError(f"timing: {name} is {span!r}; allowed: {_SPAN}")
    low, high, grid = numbers[0], numbers[:2][-1], numbers[2] if len(numbers) == 3 else 1
    if low > high or grid < 1 or (high - low) % grid:
        raise ConfigError(f"timing: {name} is {span!r}; allowed: {_SPAN}, low <= high, a whole number of grids apart")
    return numbers[:1] if low == high else numbers
