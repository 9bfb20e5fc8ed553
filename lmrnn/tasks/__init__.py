"""The Mod-Cog battery: names of tasks, drawing of trials, rendering of trials.

Two definitions exist: ``corrected`` (the default) and ``released`` (what the published code computes, its defects
included; Khona, Chandra, Ma and Fiete, Neural Computation 35(11), 2023).
"""

from lmrnn.tasks.battery import (
    BASES,
    DEFINITIONS,
    PERIODS,
    Base,
    Task,
    battery,
    battery_label,
    battery_names,
    battery_of,
    check_setting,
    is_of_battery,
    names_of,
    parse,
    task_count,
)
from lmrnn.tasks.drawing import MS_PER_POSITION, POSITIONS, Draws, Span, check_spans, draw, join, spans
from lmrnn.tasks.own import OwnTrials, own_task
from lmrnn.tasks.rendering import add_noise, render, sample
from lmrnn.tasks.trials import CHANNELS, CLASSES, Period, Trials, period_names, periods_of
from lmrnn.tasks.variation import Variation

__all__ = [
    "BASES",
    "CHANNELS",
    "CLASSES",
    "DEFINITIONS",
    "MS_PER_POSITION",
    "PERIODS",
    "POSITIONS",
    "Base",
    "Draws",
    "OwnTrials",
    "Period",
    "Span",
    "Task",
    "Trials",
    "Variation",
    "add_noise",
    "battery",
    "battery_label",
    "battery_names",
    "battery_of",
    "check_setting",
    "check_spans",
    "draw",
    "is_of_battery",
    "join",
    "names_of",
    "own_task",
    "parse",
    "period_names",
    "periods_of",
    "render",
    "sample",
    "spans",
    "task_count",
]
