"""Words and numbers of the figures, from the rows of their tables."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd

_LABEL = 36  # characters of a connectivity's label in one line


def percent(share: float) -> str:
    """A share, 0 .. 1, as people write it in percent, with two digits at least: ``8.4%``."""
    return f"{100 * share:.2g}%" if share < 0.1 else f"{100 * share:.0f}%"


def short_number(value: float, _position: float | None = None) -> str:
    """A number for an axis: 5000 is 5k, 2000000 is 2M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def seeds_text(table: pd.DataFrame) -> str:
    """How many seeds the points of a figure have (column seeds): ``3 seeds`` or ``2 to 5 seeds``."""
    low, high = int(table["seeds"].min()), int(table["seeds"].max())
    return (f"{low}" if low == high else f"{low} to {high}") + (" seed" if high == 1 else " seeds")


def one_rate(table: pd.DataFrame) -> bool:
    """Whether no connectivity of a table (column at_edge) had more than one learning rate to choose from."""
    return bool((table["at_edge"] == "only").all())


def in_lines(label: str, width: int = _LABEL) -> str:
    """A connectivity's label, which may have a hundred characters, in as many lines as it needs beside a figure."""
    return "\n".join(textwrap.wrap(label, width)) if len(label) > width else label


def describe(row: pd.Series) -> str:
    """Line of a legend: connectivity, density in percent, its best rate, number of seeds, and what went wrong.

    ``*`` stands after a rate that is the smallest or largest tried.
    """
    edge = "*" if row["at_edge"] in ("low", "high") else ""
    lost = f", {row['diverged']} diverged" if row["diverged"] else ""
    text = f"{row['connectivity']} ({percent(row['density'])}), {row['learning_rate']:g}{edge}, n={row['seeds']}{lost}"
    return in_lines(text)


def error_bars(values: pd.DataFrame, centre: str) -> np.ndarray:
    """Lengths >= 0 of error bars below and above, (2, rows), from columns low and high around the column `centre`.

    A bound that is missing or infinite is drawn as no bar.
    """
    lengths = np.stack([values[centre] - values["low"], values["high"] - values[centre]]).astype(float)
    return np.where(np.isfinite(lengths), np.maximum(lengths, 0), 0)
