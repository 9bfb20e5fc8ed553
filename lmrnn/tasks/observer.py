"""The ideal observer: the best decision accuracy that any network could reach on a task.

Everything but the noise is known to it: the periods and their lengths, which ring counts, how an answer moves (all of
it can be seen by a network too). What it must infer is which of the trials that could have been drawn was drawn. It
answers with the class of the largest posterior probability, so that its accuracy is the mean of that probability
(Bayes' rule; J. O. Berger, Statistical Decision Theory and Bayesian Analysis, 1985, section 4.4). Noise is independent
over time steps, so the mean of a stimulus period carries all that the period says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lmrnn.seeds import stream
from lmrnn.tasks.battery import BASES, Base, Task, battery, check_setting
from lmrnn.tasks.drawing import POSITIONS, check_spans, evidence, in_second_half
from lmrnn.tasks.rendering import STIMULI, bumps, label_of
from lmrnn.tasks.trials import CLASSES

Floats = NDArray[np.float64]
TRIALS = 20_000  # at most; a Monte Carlo error of .0013 or less on every task of either definition
_BLOCK = 500  # trials at once: 500 x 8,640 hypotheses (ctxdlydm) take 35 MB
_LEAST_NOISE = 1e-3  # factor of the noise that stands for none: far below any difference between stimuli
_SURE = 1e-5  # a Monte Carlo error after which no further trials are drawn: delayed decisions and matches have no doubt


@dataclass(frozen=True)
class Hypotheses:
    """The trials that could have been drawn, all equally likely: `shown` (K, D), what the D noisy channels (one set for
    each stimulus period) are without noise; `position` (K,), the ring position to report, and `goes` (K,), whether
    anything is to be reported, one column for each equally likely outcome of a coin where the answer is one's (K, 2).
    """

    shown: Floats
    position: NDArray[np.int64]
    goes: NDArray[np.bool_]


def hypotheses(task: Task, definition: str = "corrected") -> Hypotheses:
    """What can be drawn in a task whose stimuli are noisy (families dm, dlydm and match); modality and delay are left
    out, as they are seen without noise. Raises KeyError for the families without noise.
    """
    return {"dm": _decisions, "dlydm": _decisions, "match": _matches}[task.family](BASES[task.base], definition)


def _decisions(base: Base, definition: str) -> Hypotheses:
    """Every pair of positions with every pair of strengths on both rings."""
    coherence, sign = evidence(base, definition)  # (E, 4) strengths of (first, second) on ring 1, then 2; (E,)
    strength = np.nan_to_num(coherence).reshape(-1, 2, 2)  # (E, ring, stimulus)
    first, second = np.nonzero(~np.eye(POSITIONS, dtype=bool))  # (240,) each
    profile = bumps(np.arange(POSITIONS)).astype(float)  # (16, 16)
    pair = np.stack([profile[first], profile[second]], axis=1)  # (240, stimulus, 16)
    shown = np.einsum("ers,psc->pesrc", strength, pair)  # (240, E, stimulus, ring, 16)
    if base.family == "dm":
        shown = shown.sum(axis=2)
    ends = first[:, None], second[:, None]
    # equal evidence: a coin says the first or the second, so one column each
    position = np.stack([np.where(sign >= 0, *ends), np.where(sign > 0, *ends)], axis=-1).reshape(-1, 2)
    flat = shown.reshape(len(position), -1)
    return Hypotheses(flat, position, np.ones_like(position, bool))


def _matches(base: Base, definition: str) -> Hypotheses:
    """Every sample with every test, once for a match and once for none."""
    sample, test = (place.ravel() for place in np.meshgrid(np.arange(POSITIONS), np.arange(POSITIONS), indexing="ij"))
    if base.category:
        match = in_second_half(sample, definition) == (test >= POSITIONS // 2)
        kept = np.ones(len(sample), bool)
    else:
        match, kept = sample == test, (test - sample) % (POSITIONS // 2) == 0
    profile = bumps(np.arange(POSITIONS)).astype(float)
    shown = np.concatenate([profile[sample], profile[test]], axis=1)[kept]
    goes = (match == base.go_on_match)[kept]
    return Hypotheses(shown, test[kept][:, None], goes[:, None])


def best_accuracy(
    known: Hypotheses, sd: float, definition: str, trials: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Accuracy of the best answer and its Monte Carlo standard error, where every channel of `known.shown` is seen with
    normal noise of standard deviation `sd` > 0; at most `trials` >= 2 are drawn.
    """
    label = np.where(known.goes, label_of(known.position, definition), 0)
    # probability of each class under each hypothesis, (K, 17)
    classes = np.stack([(label == one).mean(axis=1) for one in range(CLASSES)], axis=1)
    energy = (known.shown**2).sum(axis=1) / 2  # (K,)
    best, error = np.empty(0), np.inf
    while len(best) < trials and error > _SURE:
        drawn = known.shown[rng.integers(0, len(energy), min(_BLOCK, trials - len(best)))]
        seen = drawn + sd * rng.standard_normal(drawn.shape)  # (B, D)
        logarithms = (seen @ known.shown.T - energy) / sd**2  # (B, K) of the likelihood, up to a constant
        likelihood = np.exp(logarithms - logarithms.max(axis=1, keepdims=True))
        best = np.append(best, (likelihood @ classes).max(axis=1) / likelihood.sum(axis=1))
        error = float(best.std(ddof=1) / np.sqrt(len(best)))
    return float(best.mean()), error


@cache
def ideal_accuracy(
    task: Task, dt: int = 100, definition: str = "corrected", trials: int = TRIALS
) -> tuple[float, float]:
    """Decision accuracy of the ideal observer on a task and its Monte Carlo standard error, the same at every call.

    1 and 0 where no noise stands in the way (families reach and rt). An answer that moves (int, seq) is as hard as one
    that does not, as the movement is known. NaN where it is not known: for a user's own task whose file gives none, and
    where a study lets stimuli vary in length or noise be `throughout`. `dt` in ms; raises ConfigError as
    `lmrnn.tasks.draw` does.
    """
    check_setting(definition, dt)
    if task.own:
        return task.own.ideal_accuracy(dt), 0.0
    if task.variation.noise_where == "throughout":
        return float("nan"), 0.0
    if task.family in ("reach", "rt"):
        return 1.0, 0.0
    shown = [check_spans(task, dt, definition)[name] for name in STIMULI[task.family]]
    if any(span.low != span.high for span in shown):
        return float("nan"), 0.0
    known, steps = hypotheses(task, definition), np.array([span.low // dt for span in shown])
    # a stimulus that lasts longer is seen more clearly: as if it were stronger in the same noise
    clearer = np.repeat(np.sqrt(steps / steps[0]), known.shown.shape[1] // len(steps))
    known = Hypotheses(known.shown * clearer, known.position, known.goes)
    sd = max(task.variation.noise, _LEAST_NOISE) * (dt * int(steps[0])) ** -0.5
    return best_accuracy(known, sd, definition, trials, stream(0, "ideal observer", task.base, definition, dt))


def undecided_accuracy(task: Task) -> float:
    """Decision accuracy of an observer that sees every stimulus and knows how the answer moves, but decides nothing: of
    the stimuli of a decision task it reports either, on a match task it answers always or never. The share of trials
    it gets right is a half there and 1 where there is nothing to decide; NaN for a user's own task.
    """
    if task.own:
        return float("nan")
    return 1.0 if task.family in ("reach", "rt") else 0.5


@dataclass(frozen=True)
class Reach:
    """What can be reached on a battery, mean over its tasks: `chance` without deciding anything, `ideal` at best, and
    the `error` of the latter (Monte Carlo, one standard error).
    """

    chance: float
    ideal: float
    error: float

    def at(self, share: float) -> float:
        """The decision accuracy a share (0 .. 1) of the way from chance to the ideal observer's."""
        return self.chance + share * (self.ideal - self.chance)


def reach_of(
    tasks: int | str | Sequence[str | Task], dt: int = 100, definition: str = "corrected", trials: int = TRIALS
) -> Reach:
    """What can be reached on a battery (as for `battery_names`, or its tasks, as `battery_of` gives them); raises what
    `battery` and `ideal_accuracy` raise.
    """
    given = [] if isinstance(tasks, (int, str)) else [task for task in tasks if isinstance(task, Task)]
    members = given or battery(tasks)  # type: ignore[arg-type]
    # the ideal observer of a base is that of all its forms: each is computed once
    bases = [Task(task.base, task.base, task.family, own=task.own, variation=task.variation) for task in members]
    found = np.array([ideal_accuracy(base, dt, definition, trials) for base in bases])  # (tasks, 2)
    # forms of one base share its Monte Carlo trials, so that their errors add up instead of averaging out
    error = float(found[:, 1].mean())
    return Reach(float(np.mean([undecided_accuracy(task) for task in members])), float(found[:, 0].mean()), error)
