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
    """How states turn in the plane in which they differ most by position.

    Parameters
    ----------
    advance : float
        Mean angle advanced per time step in rad, positive in the direction in which positions rise.
    target : float
        Mean angle that the position to be reported advances per time step.
    coherence : float
        0 .. 1, length of the mean of exp(i (angle - angle of the position)), the plane's own offset and sense removed.
    explained : float
        Share of the variance between the positions' mean states that lies in the plane.
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
    """Measure rotation in the principal plane of the mean states of the 16 positions.

    Parameters
    ----------
    states : numpy.ndarray
        (R, N), one row per trial and time step, those of a trial in the order of time.
    position : numpy.ndarray
        (R,) position on the ring, any integer, counted modulo 16.
    trial : numpy.ndarray
        (R,) which trial a row belongs to.

    Returns
    -------
    Rotation
        The sense of the plane is the one in which its angle goes with the position; the direction of time does not
        enter, so an advance of the wrong sign shows.

    Raises
    ------
    ValueError
        When fewer than three positions occur, which span no plane.
    """
    states, position = np.asarray(states, dtype=float), np.asarray(position) % POSITIONS
    names, place = np.unique(position, return_inverse=True)
    if len(names) < 3:
        raise ValueError(f"rotation needs three positions or more, not {len(names)}")
    means = np.stack([states[place == i].mean(axis=0) for i in range(len(names))])
    centre = means.mean(axis=0)
    _, strength, axes = np.linalg.svd(means - centre, full_matrices=False)
    plane = (states - centre) @ axes[:2].T
    angle, wanted = np.arctan2(plane[:, 1], plane[:, 0]), RING_STEP * position
    same, mirrored = (abs(np.exp(1j * (angle - sense * wanted)).mean()) for sense in (1, -1))
    if mirrored > same:
        plane, angle = plane * [1, -1], -angle
    within = trial[1:] == trial[:-1]
    return Rotation(
        advance=float(_wrapped(np.diff(angle))[within].mean()) if within.any() else float("nan"),
        target=float(_wrapped(np.diff(wanted))[within].mean()) if within.any() else float("nan"),
        coherence=float(max(same, mirrored)),
        explained=float((strength[:2] ** 2).sum() / max((strength**2).sum(), 1e-300)),
        plane=plane,
    )


def _wrapped(angle: Floats) -> Floats:
    """Angle in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
