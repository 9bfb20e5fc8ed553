"""Analyses of one's own, which a file of a study's ``plugins`` registers with `own_analysis`.

    @own_analysis("right_answers")
    def right_answers(cell):
        return [{"task": task, "right": cell.run(task, 50).right.mean()} for task in cell.tasks]

The function is called with each trained cell of the study, as `lmrnn.load` gives it, and returns rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lmrnn import plugins
from lmrnn.analysis import TABLES
from lmrnn.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

_NAME = re.compile("[a-z][a-z0-9_]{0,39}")
Look = Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class OwnAnalysis:
    """What a file registers as an analysis; see `own_analysis`."""

    name: str
    function: Look
    plugin: plugins.Plugin = field(repr=False)

    def rows(self, cell: Any, taken: Collection[str]) -> pd.DataFrame:
        """What the function finds in one trained cell (`lmrnn.science.trained.TrainedNetwork`), as a table; `taken` are
        names that its columns cannot have. Raises `lmrnn.plugins.PluginError` with file and line.
        """
        with plugins.blamed(self.plugin.path, self.function):
            found = _table(self.name, self.function(cell))
            for column in found:
                _check(self.name, column, found[column], taken)
        return found


def own_analysis(name: str) -> Callable[[Look], Look]:
    """Register the function under it as an analysis: of one trained cell, as `lmrnn.load` gives it, to rows.

    Rows are dicts, a table or series of pandas, whose index counts where it has a name; values are numbers, text, true
    or false. They are written to ``analysis/NAME.csv`` of the study, behind the columns that name the cell. Raises
    ConfigError on a name that is taken or unfit, and in a file that registers tasks or kinds, too: its content is part
    of the identity of their cells.
    """

    def register(function: Look) -> Look:
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in TABLES:
            what = f"small letters, digits and _, at most 40, and none of {', '.join(TABLES)}"
            raise ConfigError(f"an analysis named {name!r}; allowed: {what}")
        plugin = plugins.current()
        plugin.register(plugins.ANALYSES, name, OwnAnalysis(name, function, plugin))
        return function

    return register


def _table(name: str, found: Any) -> pd.DataFrame:
    import pandas as pd  # a plugin is read in every training, which needs none

    if isinstance(found, (pd.DataFrame, pd.Series)):
        return found.reset_index() if any(found.index.names) else pd.DataFrame(found)
    rows = [found] if isinstance(found, Mapping) else list(found) if hasattr(found, "__iter__") else [found]
    if not all(isinstance(row, Mapping) for row in rows):
        wrong = next(type(row).__name__ for row in rows if not isinstance(row, Mapping))
        raise ConfigError(f"{name} returns {wrong}; allowed: rows, which are dicts, or a table of pandas")
    return pd.DataFrame(rows)


def _check(name: str, column: object, values: pd.Series, taken: Collection[str]) -> None:
    """Refuse what a table cannot hold, and columns that the cell's own would be mistaken for."""
    if not isinstance(column, str) or not column or column in taken:
        raise ConfigError(f"{name} has a column {column!r}; allowed: text that is no column of cells.csv")
    for value in values if values.dtype.kind == "O" else ():
        if not (value is None or isinstance(value, (str, bool, int, float, np.generic))):
            what = f"{type(value).__name__} under {column!r}"
            raise ConfigError(f"{name} has {what}; allowed: a number, text, true or false in each row")
