"""Rotation along a ring: does the state turn as fast as the position to be reported?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
POSITIONS = 16
RING_STEP = 2 * np.pi / POSITIONS


@dataclass(frozen=True)
class Rotation:
    """How states turn in the plane in which they go round once with the position.

    Parameters
    ----------
    advance : float
        Mean angle advanced per time step in rad, positive in the direction in which positions rise.
    target : float
        Mean angle that the position to be reported advances per time step.
    coherence : float
        0 .. 1, length of the mean of exp(i (angle - angle of the position)): 1 where the state is always at the right
        place of the ring.
    explained : float
        Share of the variance between trials at equal times that lies in the plane.
    plane : numpy.ndarray
        (R, 2) states in the plane.
    """

    advance: float
    target: float
    coherence: float
    explained: float
    plane: Floats

    @property
    def share(self) -> float:
        """Advance over target; over one step of the ring where the target stands still."""
        return self.advance / (self.target if abs(self.target) > 1e-9 else RING_STEP)


def measure_rotation(states: Floats, position: Integers, trial: Integers) -> Rotation:
    """Measure rotation in the principal plane that states go round once with a trial's first position.

    What all trials share at a time since onset is taken away. At each time, the mean states are fitted by the cosine
    and sine of the first position; the plane is that of the two strongest principal components of all these fits, so
    that the 16 first positions go round it once. (The strongest plane of the states themselves may be one that they go
    round twice.) Nothing about it presumes that the state turns.

    Parameters
    ----------
    states : numpy.ndarray
        (R, N), one row per trial and time step, those of a trial together and in the order of time.
    position : numpy.ndarray
        (R,) position on the ring, any integer, counted modulo 16.
    trial : numpy.ndarray
        (R,) which trial a row belongs to.

    Returns
    -------
    Rotation
        The sense of the plane is the one in which the angle at onset goes with the first position; the direction of
        time does not enter, so an advance of the wrong sign shows.

    Raises
    ------
    ValueError
        When trials begin at fewer than three positions, which span no plane.
    """
    states, position = np.asarray(states, dtype=float), np.asarray(position)
    onset = np.flatnonzero(np.r_[True, trial[1:] != trial[:-1]])  # row at which each trial begins
    length = np.diff(np.r_[onset, len(trial)])
    since = np.arange(len(trial)) - np.repeat(onset, length)
    first = np.repeat(position[onset] % POSITIONS, length)
    if len(np.unique(first)) < 3:
        raise ValueError(f"rotation needs three first positions or more, not {len(np.unique(first))}")
    conditions, _ = _group_means(states, since * POSITIONS + first)  # (C, N), one per first position and time
    code = np.unique(since * POSITIONS + first)
    shared, _ = _group_means(conditions, code // POSITIONS)  # each first position counts alike
    fits = _harmonic_fits(conditions - shared[code // POSITIONS], code)
    axes = np.linalg.svd(fits, full_matrices=False)[2][:2]
    differing = states - shared[since]
    plane = differing @ axes.T
    angle, wanted = np.arctan2(plane[:, 1], plane[:, 0]), RING_STEP * position
    if _coherence(angle[onset], -wanted[onset]) > _coherence(angle[onset], wanted[onset]):
        plane, angle = plane * [1, -1], -angle
    within = since[1:] > 0
    return Rotation(
        advance=float(_wrapped(np.diff(angle))[within].mean()) if within.any() else float("nan"),
        target=float(_wrapped(np.diff(wanted))[within].mean()) if within.any() else float("nan"),
        coherence=_coherence(angle, wanted),
        explained=float((plane**2).sum() / max((differing**2).sum(), 1e-300)),
        plane=plane,
    )


def _harmonic_fits(conditions: Floats, code: Integers) -> Floats:
    """Least-squares coefficients of cosine and sine of the first position at each time, (2 * times, N)."""
    fits = []
    for time in np.unique(code // POSITIONS):
        rows = code // POSITIONS == time
        angle = RING_STEP * (code[rows] % POSITIONS)
        design = np.stack([np.ones(len(angle)), np.cos(angle), np.sin(angle)], axis=1)
        fits.append(np.linalg.lstsq(design, conditions[rows], rcond=None)[0][1:])
    return np.concatenate(fits)


def _group_means(states: Floats, group: Integers) -> tuple[Floats, Integers]:
    """Mean of the rows of each group, (groups, N), and the place of each row's group among them."""
    _, place, count = np.unique(group, return_inverse=True, return_counts=True)
    total = np.zeros((len(count), states.shape[1]))
    np.add.at(total, place, states)
    return total / count[:, None], place


def _coherence(angle: Floats, other: Floats) -> float:
    return float(abs(np.exp(1j * (angle - other)).mean()))


def _wrapped(angle: Floats) -> Floats:
    """Angle in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
