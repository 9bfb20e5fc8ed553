"""Interval timing (ready, set, go): wait as long again as the time between two flashes, then answer.
(Jazayeri and Shadlen 2010, Nature Neuroscience 13)
"""

from lmrnn.tasks import own_task

PERIODS = {"fixation": (200, 500), "ready": 100, "interval": (300, 900, 100), "set": 100, "production": 1200}


@own_task("interval_timing", periods=PERIODS, ideal=1.0)  # no noise: the interval can be counted in time steps
def interval_timing(trials):
    trials.show("ready", position=0, noise=False)
    trials.show("set", position=8, noise=False)
    trials.answer(position=0, start=trials.duration("interval"))  # fixate until then
