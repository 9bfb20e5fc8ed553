"""Cell files that nothing asks for: named by `lmrnn status`, moved to the trash by `lmrnn prune`. Doubt keeps."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lmrnn.cli.studies import DEFAULT_CONFIG, choose
from lmrnn.errors import ConfigError, LmrnnError
from lmrnn.files.removal import remove, set_aside
from lmrnn.study.config import load_config
from lmrnn.study.grid import Cell, cells_of
from lmrnn.study.layout import Layout
from lmrnn.study.record import read_study

_SHOWN = 10
_KEY_OF_STUDY = re.compile(r"""\b(study|grid)["']?\s*:""")


def _files(layout: Layout, cells: Iterable[Cell]) -> set[Path]:
    """Cell files of these cells, also under their old names."""
    return {layout.cell(stem) for cell in cells for stem in (cell.stem, cell.old_stem)}


@dataclass
class Asked:
    """What asks for cells of a folder of results: `by` names each study.json and configuration with the files it asks
    for; `unreadable` says what is wrong with those of which that is not known.
    """

    layout: Layout
    by: dict[str, set[Path]] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, layout: Layout, config: Path | str | None = None, instead: str = "") -> Asked:
        """By the study.json of every study here and by `config` and all configurations beside it.

        The study named `instead` counts as its configuration says now, and not as its study.json says still.
        """
        asked = cls(layout)
        for path in layout.study_files():
            if not instead or path != layout.study(instead).file:
                asked._add(path, lambda path: _of_record(layout, path))
        beside = Path(config or DEFAULT_CONFIG).parent
        others = {path for end in ("yaml", "yml") for path in beside.glob(f"*.{end}") if _may_be_a_study(path)}
        for path in sorted({*([Path(config)] if config else []), *others}):
            asked._add(path, lambda path: _files(layout, cells_of(load_config(path))))
        return asked

    def _add(self, path: Path, files: Callable[[Path], set[Path]]) -> None:
        try:
            self.by[str(path)] = files(path)
        except LmrnnError as error:
            self.unreadable.append(str(error))

    @property
    def unasked(self) -> list[Path]:
        """Cell files that nothing asks for, sorted."""
        return sorted(set(self.layout.cells.rglob("*.h5")).difference(*self.by.values()))

    @property
    def names(self) -> str:
        """What asks, for a message."""
        return ", ".join(self.by)

    def doubts(self) -> list[str]:
        """A line for each file of which it is not known what it asks for."""
        return [f"not known what it asks for: {why.splitlines()[0]}" for why in self.unreadable]

    def kept(self) -> list[str]:
        """A line for each study.json and configuration that has cells here: how many it keeps."""
        there = set(self.layout.cells.rglob("*.h5"))
        counts = {name: len(files & there) for name, files in self.by.items()}
        return [f"kept {count:>8,} cells for {name}" for name, count in counts.items() if count]

    def report(self) -> str:
        """What nothing asks for, in words; empty if there is no such file."""
        files = self.unasked
        if not files:
            return "\n".join(self.doubts())
        shown = [f"        {path}" for path in files[:_SHOWN]] + ["        ..."] * (len(files) > _SHOWN)
        return "\n".join(
            [*self.doubts(), f"{len(files)} files that none of {self.names} asks for (`lmrnn prune`):", *shown]
        )


def _may_be_a_study(path: Path) -> bool:
    """Whether a YAML file has one of the keys that studies have, or cannot be read; others' files have neither."""
    try:
        return bool(_KEY_OF_STUDY.search(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError):
        return True


def _of_record(layout: Layout, path: Path) -> set[Path]:
    record = read_study(path)
    return {*record.files, *_files(layout, record.cells)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``lmrnn prune``, beside those that choose a study."""
    parser.add_argument("--yes", action="store_true", help="move them to the trash; without it they are listed")
    parser.add_argument("--delete", action="store_true", help="with --yes: delete them, instead of moving them")


def prune_command(arguments: argparse.Namespace) -> None:
    """Move cell files that no study asks for to the trash; lists them, and moves with --yes."""
    chosen = choose(arguments)
    asked = Asked.of(chosen.layout, chosen.path)
    for line in [*asked.kept(), *asked.doubts()]:
        print(line)
    if asked.unreadable and arguments.yes:
        many = len(asked.unreadable)
        raise ConfigError(f"{many} files may ask for cells, but cannot be read; mend them or move them away first")
    files = asked.unasked
    for path in files:
        print(_prune(path, chosen.layout, arguments))
        if (end := chosen.layout.end(str(path.relative_to(chosen.layout.cells).with_suffix("")))).exists():
            print(_prune(end, chosen.layout, arguments))
    print(f"{len(files)} cell files that none of {asked.names} asks for", end="")
    print("" if arguments.yes or not files else "; `lmrnn prune --yes` moves them to the trash")


def _prune(path: Path, layout: Layout, arguments: argparse.Namespace) -> str:
    """Do with one file what was asked for, and say what was done."""
    if not arguments.yes:
        return f"would remove {path}"
    if arguments.delete:
        remove(path)
        return f"deleted {path}"
    return f"moved {path} to {set_aside(path, layout.results)}"
