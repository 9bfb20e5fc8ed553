"""Cell files that no configuration asks for: named by `lmrnn status`, removed by `lmrnn prune`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from lmrnn.errors import ConfigError, LmrnnError
from lmrnn.files.removal import remove
from lmrnn.study.grid import Cell, cells_of
from lmrnn.study.layout import Layout


def unasked_files(results: Path | str, studies: Iterable[Sequence[Cell]]) -> list[Path]:
    """Cell files that no study asks for.

    Parameters
    ----------
    results : Path or str
        Folder of results.
    studies : iterable of sequence of Cell
        Cells of every study that counts.

    Returns
    -------
    list of Path
        Sorted.
    """
    layout = Layout(results)
    every = [cell for cells in studies for cell in cells]
    asked = {layout.cell(stem) for cell in every for stem in (cell.stem, cell.old_stem)}
    return sorted(path for path in (Path(results) / "cells").rglob("*.h5") if path not in asked)


class Asked:
    """What the configurations in a folder ask for.

    Parameters
    ----------
    config : Path or str
        One of them.

    Attributes
    ----------
    beside : list of Path
        It, and every other one in its folder.
    studies : list of list of Cell
        The cells of each that could be read.
    unreadable : list of str
        What is wrong with the others: half-edited ones, and files of other programs.
    """

    def __init__(self, config: Path | str) -> None:
        from lmrnn.study.config import load_config

        own, folder = Path(config), Path(config).parent
        self.beside = sorted({own, *folder.glob("*.yaml"), *folder.glob("*.yml")})
        self.studies, self.unreadable = [], []
        for path in self.beside:
            try:
                self.studies.append(cells_of(load_config(path)))
            except LmrnnError as error:
                if path == own:
                    raise
                self.unreadable.append(str(error))

    @property
    def names(self) -> str:
        """The configurations, for a message."""
        return ", ".join(str(path) for path in self.beside)

    def report(self, results: Path | str) -> str:
        """Files in a folder of results that none asks for.

        Parameters
        ----------
        results : Path or str
            Folder of results.

        Returns
        -------
        str
            Empty if there are none.
        """
        files = unasked_files(results, self.studies)
        left_out = [f"not a configuration: {why.splitlines()[0]}" for why in self.unreadable]
        if not files:
            return "\n".join(left_out)
        shown = [f"        {path}" for path in files[:10]] + ["        ..."] * (len(files) > 10)
        return "\n".join([*left_out, f"{len(files)} files that none of {self.names} asks for (`lmrnn prune`):", *shown])


def prune_command(arguments: argparse.Namespace) -> None:
    """Remove cell files that no configuration asks for; lists them, and removes with --yes."""
    from lmrnn.study.config import load_config

    asked = Asked(arguments.config)
    for why in asked.unreadable:
        print("not a configuration:", why)
    if asked.unreadable and arguments.yes:
        many = len(asked.unreadable)
        raise ConfigError(f"{many} files beside the configuration may ask for cells; mend or move them first")
    files = unasked_files(load_config(arguments.config)["results"], asked.studies)
    for path in files:
        print("removed" if arguments.yes else "would remove", path)
        if arguments.yes:
            remove(path)
    print(f"{len(files)} cell files that none of {asked.names} asks for", end="")
    print("" if arguments.yes or not files else "; `lmrnn prune --yes` removes them")
