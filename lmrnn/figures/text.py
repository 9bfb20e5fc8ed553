"""Words and numbers of the figures, from the rows of their tables."""

from __future__ import annotations

import numpy as np
import pandas as pd


def percent(share: float) -> str:
    """A share as people write it in percent.

    Parameters
    ----------
    share : float
        0 .. 1.

    Returns
    -------
    str
        Two digits at least, e.g. ``8.4%``.
    """
    return f"{100 * share:.2g}%" if share < 0.1 else f"{100 * share:.0f}%"


def short_number(value: float, _position: int | None = None) -> str:
    """A number for an axis: 5000 is 5k, 2000000 is 2M.

    Parameters
    ----------
    value : float
        Any.

    Returns
    -------
    str
        Short.
    """
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def seeds_text(table: pd.DataFrame) -> str:
    """How many seeds the points of a figure have.

    Parameters
    ----------
    table : pandas.DataFrame
        With a column seeds.

    Returns
    -------
    str
        ``3 seeds`` or ``2 to 5 seeds``.
    """
    low, high = int(table["seeds"].min()), int(table["seeds"].max())
    return (f"{low}" if low == high else f"{low} to {high}") + (" seed" if high == 1 else " seeds")


def describe(row: pd.Series) -> str:
    """Line of a legend: connectivity, density in percent, its best rate, number of seeds, and what went wrong.

    Parameters
    ----------
    row : pandas.Series
        A row with connectivity, density, learning_rate, at_edge, seeds, diverged.

    Returns
    -------
    str
        Short text; ``*`` after the rate when it is the smallest or largest tried.
    """
    edge = "*" if row["at_edge"] in ("low", "high") else ""
    lost = f", {row['diverged']} diverged" if row["diverged"] else ""
    rate = f"{row['learning_rate']:.2g}{edge}"
    return f"{row['connectivity']} ({percent(row['density'])}), {rate}, n={row['seeds']}{lost}"


def error_bars(values: pd.DataFrame, centre: str) -> np.ndarray:
    """Lengths of error bars from columns low and high.

    Parameters
    ----------
    values : pandas.DataFrame
        With columns `centre`, low, high; a bound that is missing or infinite is drawn as no bar.
    centre : str
        Column of the point.

    Returns
    -------
    numpy.ndarray
        (2, rows): below and above, >= 0.
    """
    lengths = np.stack([values[centre] - values["low"], values["high"] - values[centre]]).astype(float)
    return np.where(np.isfinite(lengths), np.maximum(lengths, 0), 0)


def largest_size(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the largest data size of each family.

    Parameters
    ----------
    table : pandas.DataFrame
        With columns family and trials_per_task.

    Returns
    -------
    pandas.DataFrame
        The same columns.
    """
    return table[table["trials_per_task"] == table.groupby("family")["trials_per_task"].transform("max")]
