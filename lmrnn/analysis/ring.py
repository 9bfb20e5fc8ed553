"""Rotation along a ring: does the state turn as fast as the position to be reported?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmrnn.tasks import POSITIONS

Floats = NDArray[np.floating]
Integers = NDArray[np.int64]
RING_STEP = 2 * np.pi / POSITIONS
_ENOUGH_POSITIONS = POSITIONS // 2
_HALF_TURN = 1e-6  # rad; so near to half a turn, rounding says in which sense: it counts as -pi
# a plane's second axis, or what a state differs by, over the largest state: what the rounding of float32 can make
_FLAT = 1e-6


class NoPlaneError(ValueError):
    """States span no plane in which anything could turn."""


@dataclass(frozen=True)
class Rotation:
    """How states turn in the plane in which they go round once with the position.

    `advance` is the mean angle advanced per time step in rad, positive in the direction in which positions rise,
    `target` that of the position to be reported. `coherence`, 0 .. 1, is the length of the mean of exp(i (angle - angle
    of the position)): 1 where the state is always at the right place of the ring. `explained` is the share of the
    variance between trials at equal times that lies in the plane, `plane` (R, 2) are the states in it; `turns` and
    `wanted` (R,) are the angles by which the state, and the position, advanced since the time step before, NaN where
    that is no row of the trial, or a state lies where all are at that time, in no direction.
    """

    advance: float
    target: float
    coherence: float
    explained: float
    plane: Floats
    turns: Floats
    wanted: Floats

    @property
    def share(self) -> float:
        """Advance over target; over one step of the ring where the target stands still."""
        return share_of(self.advance, self.target)

    def share_in(self, rows: NDArray[np.bool_]) -> float:
        """The share measured in some rows (R,) only, in the same plane, that of all; NaN if no row is left."""
        kept = rows & np.isfinite(self.turns)
        return share_of(self.turns[kept].mean(), self.wanted[kept].mean()) if kept.any() else float("nan")


def share_of(advance: float, target: float) -> float:
    """Angle advanced over the target's, both in rad per time step; the advance over one step of the ring where the
    target stands still.
    """
    return float(advance / (target if abs(target) > 1e-9 else RING_STEP))


def measure_rotation(
    states: Floats, position: Integers, trial: Integers, since: Integers | None = None, first: Integers | None = None
) -> Rotation:
    """Measure rotation in the principal plane that states go round once with a trial's first position.

    `states` are (R, N), one row per trial and time step, those of a trial together and in the order of time, `position`
    (R,) on the ring is any integer, counted modulo 16, `trial` (R,) which trial a row belongs to. Where rows of a trial
    are missing, `since` (R,) are the time steps since its onset and `first` (R,) the position there; else both are
    counted from its first row. What all trials share at a time since onset is taken away. At each time, the mean states
    are fitted by the cosine and sine of the first position; the plane is that of the two strongest principal components
    of all these fits, so that the 16 first positions go round it once. (The strongest plane of the states themselves
    may be one that they go round twice.) Nothing about it presumes that the state turns: its sense is the one in which
    the angle at onset goes with the first position; the direction of time does not enter, so an advance of the wrong
    sign shows. Raises `NoPlaneError` when trials begin at fewer than three positions, or states are silent or lie on a
    line.
    """
    states, position = np.asarray(states, dtype=float), np.asarray(position)
    onset, since, first = _trials(position, trial, since, first)
    if len(np.unique(first)) < 3:
        raise NoPlaneError(f"rotation needs three first positions or more, not {len(np.unique(first))}")
    conditions, _ = group_means(states, since * POSITIONS + first)  # (C, N), one per first position and time
    time, start = np.divmod(np.unique(since * POSITIONS + first), POSITIONS)
    shared, place = group_means(conditions, time)  # each first position counts alike
    parts = conditions - shared[place]
    fits = [_cosine_and_sine(parts[time == one], start[time == one]) for one in np.unique(time)]
    _, strengths, axes = np.linalg.svd(np.concatenate(fits), full_matrices=False)
    rounding = _FLAT * np.linalg.norm(states, axis=1).max()
    if not (len(strengths) > 1 and strengths[1] > rounding):
        raise NoPlaneError("rotation needs states that span a plane, not a line or a point")
    axes = axes[:2]
    differing = states - shared[np.searchsorted(np.unique(since), since)]
    plane = differing @ axes.T
    size = np.hypot(*plane.T)
    angle = np.where(size > rounding, np.arctan2(plane[:, 1], plane[:, 0]), np.nan)
    wanted = RING_STEP * position
    if _coherence(angle[onset], -wanted[onset]) > _coherence(angle[onset], wanted[onset]):
        plane, angle = plane * [1, -1], -angle
    turns = advances(angle, trial, since)
    targets = advances(wanted, trial, since)
    within = np.isfinite(turns)
    return Rotation(
        advance=float(turns[within].mean()) if within.any() else float("nan"),
        target=float(targets[within].mean()) if within.any() else float("nan"),
        coherence=_coherence(angle, wanted),
        explained=float((plane**2).sum() / max((differing**2).sum(), 1e-300)),
        plane=plane,
        turns=turns,
        wanted=targets,
    )


def advances(angle: Floats, trial: Integers, since: Integers | None = None) -> Floats:
    """Angle advanced since the time step before, (R,) in [-pi, pi), NaN where that is no row of the same trial; `angle`
    (R,) in rad, rows of a trial together and in the order of time, which is `since` (R,) where rows are missing.
    """
    turns = np.full(len(trial), np.nan)
    same = trial[1:] == trial[:-1]
    if since is not None:
        same &= np.diff(since) == 1
    turns[1:][same] = _wrapped(np.diff(angle))[same]
    return turns


def pattern_rotation(
    states: Floats, position: Integers, trial: Integers, since: Integers | None = None, first: Integers | None = None
) -> tuple[float, float]:
    """By which angle the pattern of activity over all first positions turns in a time step, over the target's, and its
    coherence.

    At each time since onset the states (arguments as for `measure_rotation`) are fitted by the cosine and sine of the
    trial's first position, which gives the first harmonic c of the pattern, a complex vector over units. If every state
    passes to where that of a position by an angle further was, the next harmonic is exp(i angle) c; so the angle is
    that of the scalar product of the two, summed over time. It needs no plane, and trials whose state says nothing
    about the position dilute the pattern, but not its angle. A pattern that stands still has angle 0; one that moves to
    other units has no coherence (0 .. 1, the length of the summed scalar products over the sum of the patterns'
    lengths). NaN if at no two times trials of all but a few first positions are left.
    """
    states = np.asarray(states, dtype=float)
    _, since, first = _trials(np.asarray(position), trial, since, first)
    wanted = advances(RING_STEP * np.asarray(position), trial, since)
    products, lengths, targets = [0j], [0.0], []
    for time in range(1, int(since.max()) + 1):
        now = np.flatnonzero((since == time) & np.isfinite(wanted))  # with the row before, of the same trial
        if len(np.unique(first[now])) < _ENOUGH_POSITIONS:
            continue
        before, after = (_harmonic(states[rows], first[now]) for rows in (now - 1, now))
        products.append(len(now) * complex(np.vdot(before, after)))
        lengths.append(len(now) * float(np.linalg.norm(before) * np.linalg.norm(after)))
        targets.append(wanted[now])
    total = sum(products)
    if not targets or sum(lengths) == 0:
        return float("nan"), float("nan")
    return share_of(float(np.angle(total)), float(np.concatenate(targets).mean())), float(abs(total) / sum(lengths))


def _trials(
    position: Integers, trial: Integers, since: Integers | None, first: Integers | None
) -> tuple[Integers, Integers, Integers]:
    """Row at which each trial begins, and of each row the time since onset and the trial's first position."""
    onset = np.flatnonzero(np.r_[True, trial[1:] != trial[:-1]])
    length = np.diff(np.r_[onset, len(trial)])
    since = np.arange(len(trial)) - np.repeat(onset, length) if since is None else since
    first = np.repeat(position[onset], length) if first is None else first
    return onset, since, first % POSITIONS


def _harmonic(states: Floats, first: Integers) -> Floats:
    """First harmonic c of states over the angle of a position, complex (N,): they are about a + Re(c exp(i angle)).

    Each position counts alike, however many trials it has: unequal numbers would let other harmonics in.
    """
    cosine, sine = _cosine_and_sine(group_means(states, first)[0], np.unique(first))
    return cosine - 1j * sine


def _cosine_and_sine(states: Floats, position: Integers) -> Floats:
    """Least-squares coefficients of cosine and sine of the position in states of one row per position, (2, N)."""
    angle = RING_STEP * position
    design = np.stack([np.ones(len(angle)), np.cos(angle), np.sin(angle)], axis=1)
    return np.linalg.lstsq(design, states, rcond=None)[0][1:]


def group_means(states: Floats, group: Integers) -> tuple[Floats, Integers]:
    """Mean of the rows of each group, (groups, N), and the place of each row's group among them."""
    _, place, count = np.unique(group, return_inverse=True, return_counts=True)
    total = np.zeros((len(count), states.shape[1]))
    np.add.at(total, place, states)
    return total / count[:, None], place


def _coherence(angle: Floats, other: Floats) -> float:
    known = np.isfinite(angle)
    return float(abs(np.exp(1j * (angle - other)[known]).mean())) if known.any() else 0.0


def _wrapped(angle: Floats) -> Floats:
    """Angle in [-pi, pi)."""
    wrapped = (angle + np.pi) % (2 * np.pi) - np.pi
    return np.where(wrapped > np.pi - _HALF_TURN, wrapped - 2 * np.pi, wrapped)
