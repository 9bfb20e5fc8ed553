"""Which study a command is about: one that has run, by its name, or one that a configuration describes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmrnn.errors import ConfigError
from lmrnn.study.config import load_config
from lmrnn.study.grid import Cell, cells_of
from lmrnn.study.layout import Layout
from lmrnn.study.record import read_study

DEFAULT_CONFIG, DEFAULT_RESULTS = "config/config.yaml", "results"


@dataclass(frozen=True)
class Chosen:
    """A study with its cells; `path` is the configuration that was read, None where it was its study.json."""

    config: Mapping[str, Any]
    cells: list[Cell]
    path: str | None

    @property
    def layout(self) -> Layout:
        """Where its files lie."""
        return Layout(self.config["results"])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that choose a study."""
    parser.add_argument(
        "--config", "--configfile", help=f"configuration of the study ({DEFAULT_CONFIG}); or, for one that has run:"
    )
    parser.add_argument("--study", help="its name: it is taken as it was run, with all overrides, from its study.json")
    parser.add_argument("--results", help=f"folder of results (the configuration's, or {DEFAULT_RESULTS})")


def choose(arguments: argparse.Namespace) -> Chosen:
    """The study that the options name; raises `ConfigError` when there is no such one."""
    if arguments.study and arguments.config:
        raise ConfigError("--study takes a study as it was run, --config as it is written: give one of the two")
    if arguments.study:
        return _by_name(arguments.study, Layout(arguments.results or DEFAULT_RESULTS))
    path = arguments.config or DEFAULT_CONFIG
    config = load_config(path)
    if arguments.results:
        config["results"] = arguments.results
    return Chosen(config, cells_of(config), path)


def _by_name(name: str, layout: Layout) -> Chosen:
    known = [path.parent.name for path in layout.study_files()]
    if name not in known:
        names = ", ".join(known) or "none"
        raise ConfigError(f"--study {name}: {layout.results} has no such study; it has {names} (--results for others)")
    record = read_study(layout.study(name).file)
    return Chosen(record.config, record.cells, None)
