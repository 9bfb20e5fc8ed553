"""Whether a trained network's state turns along a ring in the tasks whose answer does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lmrnn.analysis.ring import (
    RING_STEP,
    NoPlaneError,
    Rotation,
    advances,
    measure_rotation,
    pattern_rotation,
    share_of,
)
from lmrnn.analysis.runs import Run, answers_of, run_task
from lmrnn.networks import LMRNN
from lmrnn.tasks import MS_PER_POSITION, POSITIONS, Task, battery_of


def seq_positions(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a run's states in which there is something to report, (R,), and the position to be reported in each, 0 ..
    15, (R,): those of the decision period.
    """
    rows = np.flatnonzero((run.time >= run.trials.decision[run.trial]) & (run.trials.labels > 0))
    return rows, run.trials.labels[rows] - 1


def int_positions(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the delay of a run of the reach family, (R,), and the position, any integer counted modulo 16, that the
    answer would have if the delay ended there, (R,).
    """
    task, dt = run.trials.task, run.trials.dt
    onset, decision = run.trials.bounds[run.trial, -3], run.trials.decision[run.trial]
    rows = np.flatnonzero((run.time >= onset) & (run.time < decision))
    elapsed = (run.time - onset + 1)[rows] * dt  # ms, at the end of the time step
    answer = run.trials.draws.columns["response"][run.trial[rows]]
    total = (decision - onset)[rows] * dt
    return rows, answer - task.int_sign * (total // MS_PER_POSITION - elapsed // MS_PER_POSITION)


def rotations(
    network: LMRNN, spec: dict, trials: int = 128, seed: int = 0
) -> Iterator[tuple[dict, Rotation, np.ndarray]]:
    """Rotation of a network in every task that calls for it, and in the same tasks without as a control.

    Yields a row, the same as a `Rotation` with the states in the plane, and (R, 3) trial, time step since onset and
    position modulo 16 of each of its states. A row has the task; what (``seq``: during the decision, ``int``: during
    the delay, ``none``: a base task's decision, in which the position stands still); advance, target (rad per time
    step), share, coherence, explained; the same share in trials answered right throughout (``right_share``, with
    ``right_trials`` of ``trials``), that of the network's answers (``answer_share``, where it answers at two time steps
    running; NaN for int, whose delay has no answers), and that of the whole pattern (``pattern_share``,
    ``pattern_coherence``; `pattern_rotation`). A task in which the states span no plane has none.
    """
    for rule, task in enumerate(battery_of(spec)):
        what = _ring_of(task, spec["definition"])
        if what is None:
            continue
        run = run_task(network, task, rule, spec, trials, seed)
        rows, position = int_positions(run) if what == "int" else seq_positions(run)
        trial, answers = run.trial[rows], answers_of(network, run)
        first = np.flatnonzero(np.diff(trial, prepend=-1))
        since = run.time[rows] - run.trials.bounds[trial, -3 if what == "int" else -2]
        onset = _at_onset(task, position, since, first, spec["dt"])
        try:
            found = measure_rotation(run.states[rows], position, trial, since, onset)
        except NoPlaneError:
            continue  # a silent network, or one of whose neurons a single one is active
        names = ("advance", "target", "share", "coherence", "explained")
        pattern = pattern_rotation(run.states[rows], position, trial, since, onset)
        right = np.isin(np.arange(trials), _wrong_trials(run, answers), invert=True)
        row = {
            "task": task.name,
            "what": what,
            **{name: getattr(found, name) for name in names},
            "right_share": found.share_in(right[trial]),
            "right_trials": int(right.sum()),
            "trials": trials,
            "answer_share": _answer_share(answers[rows], position, trial, since) if what != "int" else np.nan,
            "pattern_share": pattern[0],
            "pattern_coherence": pattern[1],
        }
        yield row, found, np.stack([trial, since, position % POSITIONS], axis=1)


def _at_onset(task: Task, position: np.ndarray, since: np.ndarray, first: np.ndarray, dt: int) -> np.ndarray:
    """Position with which each row's trial begins, (R,), of rows whose trials have their first ones at `first`; of the
    published code's trials the onset itself may be missing, as it has no label for position 15.
    """
    begins = position[first] - task.seq_sign * (dt * since[first] // MS_PER_POSITION)
    return np.repeat(begins, np.diff(np.r_[first, len(position)]))


def _wrong_trials(run: Run, answers: np.ndarray) -> np.ndarray:
    """Trials with a wrong answer at some time step of the decision."""
    deciding = run.time >= run.trials.decision[run.trial]
    return np.unique(run.trial[deciding & (answers != run.trials.labels)])


def _answer_share(answers: np.ndarray, position: np.ndarray, trial: np.ndarray, since: np.ndarray) -> float:
    """Angle by which the answers advance, over the target's, where there are two running."""
    turns = advances(RING_STEP * (answers - 1), trial, since)
    both = np.isfinite(turns) & (answers > 0) & (np.r_[0, answers[:-1]] > 0)
    wanted = advances(RING_STEP * position, trial, since)
    return share_of(turns[both].mean(), wanted[both].mean()) if both.any() else float("nan")


def _ring_of(task: Task, definition: str) -> str | None:
    """What a task is looked at for: ``seq``, ``int``, ``none`` (a control), or nothing."""
    if task.seq_sign:
        return None if task.int_sign else "seq"
    if task.family != "reach":
        return None
    # the published code turns the stimulus of int tasks by an angle off the grid
    return "none" if not task.int_sign else "int" if definition == "corrected" else None
