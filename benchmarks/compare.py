"""Two sides of a benchmark that took turns: the numbers of their row."""

import statistics
from collections.abc import Sequence


def compared(pairs: Sequence[Sequence[float]], faster: bool = False) -> dict:
    """Medians over the rounds, a pair each, of ours, theirs, and how many times as much ours is, with least and most;
    `faster`: how many times as much theirs is.
    """
    ours, theirs = (statistics.median(values) for values in zip(*pairs, strict=True))
    ratios = [their / our if faster else our / their for our, their in pairs]
    return {"ours": ours, "theirs": theirs, "ratio": statistics.median(ratios), "spread": (min(ratios), max(ratios))}
