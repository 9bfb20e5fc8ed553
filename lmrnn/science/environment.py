"""Any task as a gymnasium environment, with neurogym's conventions: trial after trial without an end, what is new and
what would have been right in `info`. Importing this module registers the battery's tasks: ``lmrnn/dm1-v0``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmrnn.tasks import CHANNELS, CLASSES, POSITIONS, Trials, add_noise, battery_names, draw, parse, render

try:
    import gymnasium
    from gymnasium.spaces import Box, Discrete
except ImportError as error:
    raise ImportError("tasks as environments need gymnasium: pip install 'lmrnn[gymnasium]'") from error

REWARDS = {"abort": -0.1, "correct": 1.0, "fail": 0.0}  # neurogym's
# Stimuli reach 1.6 and noise 1 / sqrt(dt in ms), of which single precision draws no more than 8.3 deviations.
BOUND = 100.0
_BLOCK = 64  # trials drawn at once


class TaskEnv(gymnasium.Env[NDArray[np.float32], np.int64]):
    """A task as an environment: observations (33,) are fixation and two rings, an action is a class: 0 fixates, k
    reports ring position k - 1. An action answers the observation that came last.

    `info` has ``gt``, the right answer to the observation just answered; ``new_trial``, whether the observation that
    is returned is the first of the next trial; and then ``performance``, the share of the trial's decision time steps
    that were right. ``trial`` is what was drawn for the trial that the answered observation was of. Fixation that is
    broken before the decision costs `rewards` ``abort`` at every time step, and ends the trial where `abort` is true; a
    trial whose whole decision period is right earns ``correct``, one that is wrong throughout ``fail``.
    `trials_per_episode` terminates an episode; without it none ends, as in neurogym. `noise` is that of the stimuli.
    """

    metadata = {"render_modes": []}

    def __init__(
        self,
        task: str,
        dt: int = 100,
        definition: str = "corrected",
        noise: bool = True,
        rewards: Mapping[str, float] | None = None,
        abort: bool = False,
        trials_per_episode: int | None = None,
    ) -> None:
        self.task, self.dt, self.definition, self.noise = parse(task), dt, definition, noise
        self.rewards, self.abort, self.trials_per_episode = {**REWARDS, **(rewards or {})}, abort, trials_per_episode
        self.observation_space = Box(-BOUND, BOUND, (CHANNELS,), np.float32)
        self.action_space = Discrete(CLASSES)
        rings = {"ring 1": range(1, 1 + POSITIONS), "ring 2": range(1 + POSITIONS, CHANNELS)}
        self.observation_names = {"fixation": 0, **rings}
        self.action_names = {"fixate": 0, "position": range(1, CLASSES)}
        self.num_tr = 0
        self._block: Trials | None = None
        self._next = 0

    def new_trial(self) -> dict[str, Any]:
        """Begin the next trial and return what was drawn; its observations and right answers are `ob` and `gt`."""
        if self._block is None or self._next == len(self._block):
            self._block, self._next = self._drawn(), 0
        trials, number = self._block, self._next
        rows = trials.rows(number)
        self.ob, self.gt = trials.observations[rows], trials.labels[rows]
        self.decision = int(trials.decision[number])
        drawn = {name: _plain(values[number]) for name, values in trials.draws.columns.items()}
        lengths = {f"{period.name}_ms": (period.stop - period.start) * self.dt for period in trials.periods(number)}
        self.trial = {"task": self.task.name, **lengths, **drawn}
        self.t_ind, self._right = 0, 0
        self._next += 1
        return self.trial

    def _drawn(self) -> Trials:
        """The next trials."""
        draws = draw(self.task, _BLOCK, self.np_random, self.dt, self.definition)
        trials = render(self.task, draws, self.dt, self.definition)
        return add_noise(trials, self.np_random) if self.noise else trials

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin a new episode with a new trial; the same seed gives the same trials."""
        super().reset(seed=seed)
        self._block, self.num_tr = None, 0
        self.new_trial()
        return self.ob[0].copy(), {"new_trial": True, "trial": copy.deepcopy(self.trial)}

    def step(self, action: np.int64) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Answer the last observation; the next one, reward, whether the episode is over, False, and `info`."""
        right, deciding = int(self.gt[self.t_ind]), self.t_ind >= self.decision
        broken = not deciding and int(action) != 0
        reward, steps = (self.rewards["abort"] if broken else 0.0), len(self.gt) - self.decision
        if deciding:
            reward = self.rewards["correct" if int(action) == right else "fail"] / steps
            self._right += int(action) == right
        self.t_ind += 1
        ended = self.t_ind == len(self.gt) or (broken and self.abort)
        info: dict[str, Any] = {"gt": right, "new_trial": ended, "trial": copy.deepcopy(self.trial)}
        if ended:
            info["performance"] = self._right / steps
            self.num_tr += 1
            self.new_trial()
        return self.ob[self.t_ind].copy(), reward, self.num_tr == self.trials_per_episode, False, info


def _plain(value: np.ndarray) -> Any:
    """What was drawn as numbers of Python; None where nothing was, such as the coherence on a silent ring."""
    known = np.asarray(value, object)
    known[np.isnan(np.asarray(value, float))] = None
    return known.tolist()


def register_tasks() -> None:
    """Make the battery's 126 tasks known to ``gymnasium.make`` as ``lmrnn/<task>-v0``."""
    for name in battery_names(126):
        environment = f"lmrnn/{name}-v0"
        if environment not in gymnasium.registry:
            gymnasium.register(environment, entry_point=f"{__name__}:TaskEnv", kwargs={"task": name})


register_tasks()
