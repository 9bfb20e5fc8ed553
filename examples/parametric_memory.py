"""Parametric working memory: was the first stimulus stronger than the second? (Romo et al. 1999, Nature 399)"""

import numpy as np

from lmrnn.tasks import own_task

STRENGTHS = np.array([0.4, 0.6, 0.8, 1.0, 1.2])


def draw(n, rng):
    first = rng.integers(0, len(STRENGTHS), n)
    second = (first + rng.integers(1, len(STRENGTHS), n)) % len(STRENGTHS)  # never the same
    return {"strength1": STRENGTHS[first], "strength2": STRENGTHS[second]}


PERIODS = {"fixation": (200, 500), "first": 500, "delay": (300, 1500), "second": 500, "decision": 300}


@own_task("parametric_memory", periods=PERIODS, draw=draw)
def parametric_memory(trials):
    first, second = trials["strength1"], trials["strength2"]
    trials.show("first", position=4, strength=first)
    trials.show("second", position=4, strength=second)
    trials.answer(position=np.where(first > second, 0, 8))
