"""The space that states lie in: principal components."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lmrnn.errors import ConfigError


@dataclass(frozen=True)
class PrincipalComponents:
    """Directions of largest variance: `mean` (N,), `axes` (k, N) of length 1, `share` of variance along each (k,)."""

    mean: NDArray[np.float64] = field(repr=False)
    axes: NDArray[np.float64] = field(repr=False)
    share: NDArray[np.float64]

    def project(self, states: np.ndarray) -> NDArray[np.float64]:
        """Coordinates (..., k) of states (..., N); NaN stays NaN."""
        return (np.asarray(states, float) - self.mean) @ self.axes.T


def principal_components(states: np.ndarray, components: int = 3) -> PrincipalComponents:
    """The first principal components of states (rows, N); each axis points to where its largest loading is positive.

    Raises ConfigError where there are fewer rows or neurons than components.
    """
    states = np.asarray(states, float)
    if not 1 <= components <= min(states.shape):
        allowed = f"for {states.shape[0]} states of {states.shape[1]} neurons: 1 to {min(states.shape)}"
        raise ConfigError(f"components is {components}; allowed {allowed}")
    mean = states.mean(axis=0)
    _, singular, axes = np.linalg.svd(states - mean, full_matrices=False)
    largest = np.abs(axes).argmax(axis=1)
    axes = axes * np.sign(axes[np.arange(len(axes)), largest])[:, None]
    variance = singular**2
    share = variance / variance.sum() if variance.sum() else np.zeros_like(variance)
    return PrincipalComponents(mean, axes[:components], share[:components])
