"""Go/no-go with a distractor: a cue on ring 1 asks for its position, one on ring 2 for none; ignore the rest."""

import numpy as np

from lmrnn.tasks import own_task


def draw(n, rng):
    return {
        "position": rng.integers(0, 16, n),
        "go": rng.integers(0, 2, n),
        "distractor": rng.integers(0, 16, n),
        "distractor_ring": rng.integers(1, 3, n),
    }


PERIODS = {"fixation": (200, 500), "cue": 500, "wait": 300, "distractor": 200, "delay": (0, 600), "decision": 500}


@own_task("go_nogo", periods=PERIODS, draw=draw)
def go_nogo(trials):
    trials.show("cue", trials["position"], ring=np.where(trials["go"], 1, 2))
    trials.show("distractor", trials["distractor"], ring=trials["distractor_ring"], strength=0.5)
    trials.answer(trials["position"], goes=trials["go"])
