"""The study as a file: what was asked for, complete, beside what came of it.

``results/<study>/study.json`` has the configuration after all overrides and every cell with its file. Beside it, in
``inputs/``, lie the parts of it on which tables and figures depend. Each file is written when, and only when, its
content changes: its time then says whether a table is older than what it was made for, whoever made it and from where.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lmrnn.errors import DamagedFileError, UnreadableFileError
from lmrnn.files.storage import write_text
from lmrnn.plugins import remember
from lmrnn.study.cells import canonical_json
from lmrnn.study.config import own_analyses
from lmrnn.study.grid import Cell
from lmrnn.study.layout import Layout, Study

FORMAT = 1
ANALYSIS = "analysis_"
DO = "Run the study's snakemake command again: the file is written anew"


@dataclass(frozen=True)
class StudyRecord:
    """A study as its file says: complete configuration, cells in the order of the grid, and the cells' files."""

    config: dict[str, Any]
    cells: list[Cell]
    files: list[Path]

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.config["study"]


def parts_of(config: Mapping[str, Any], cells: Sequence[Cell]) -> dict[str, Any]:
    """What something depends on: ``cells`` the tables, ``curves`` the curves, ``drawing`` the pictures, and what begins
    with `ANALYSIS` an own analysis of that name.

    Where the results lie is in none of them, nor what only the computer is told: neither changes a number.
    """
    return {
        "cells": [cell.stem for cell in cells],
        "curves": {key: value for key, value in config["curves"].items() if key != "palette"},
        "drawing": {"palette": config["curves"]["palette"]},
        **{f"{ANALYSIS}{name}": own.plugin.sha256 for name, own in own_analyses(config).items()},
    }


def study_text(config: Mapping[str, Any], cells: Sequence[Cell]) -> str:
    """Text of study.json, a line for each cell; files go by their path below the folder of results."""
    plain = {key: value for key, value in config.items() if key != "results"}
    lines = ",\n".join(canonical_json({"file": str(cell.path("")), "spec": cell.spec}) for cell in cells)
    head = f'"format": {FORMAT},\n"config": {json.dumps(plain, sort_keys=True, allow_nan=False)}'
    return f'{{{head},\n"cells": [\n{lines}\n]}}\n'


def note_study(
    study: Study,
    config: Mapping[str, Any],
    cells: Sequence[Cell],
    elsewhere: Path | None = None,
    anew: Sequence[str] = (),
) -> dict[str, Path]:
    """Write what has changed of a study's file and its parts, each whole or not at all, and return where they are.

    With `elsewhere` the study's own files stay as they are, and what would change is written to that folder: a dry-run
    sees newer files, and leaves none behind. The parts named in `anew` are written also where they have not changed.
    """
    changed, places = changes(study, config, cells, anew), {"study": study.file}
    places |= {name: study.part(name) for name in parts_of(config, cells)}
    for name, text in changed.items():
        if elsewhere is not None and name == "study" and study.file.exists():
            continue  # nothing depends on its time or content, only on those of the parts
        if elsewhere is not None:
            places[name] = elsewhere / f"{study.folder.name}.{name}.json"
        write_text(places[name], text)
    return places


def changes(study: Study, config: Mapping[str, Any], cells: Sequence[Cell], anew: Sequence[str] = ()) -> dict[str, str]:
    """New text of the study's file (``study``) and of each part that is in `anew` or does not say what is asked now.

    The parts carry the time at which they were written: Snakemake knows files again by their content, and would take
    one that has come back to what it once was for one that has not changed.
    """
    found = {}
    text = study_text(config, cells)
    if _content(study.file) != text:
        found["study"] = text
    now = datetime.now(UTC).isoformat()
    for name, asked in parts_of(config, cells).items():
        if name in anew or _asked(study.part(name)) != asked:
            found[name] = json.dumps({"written": now, "asked": asked}, indent=0, allow_nan=False) + "\n"
    return found


def _content(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _asked(path: Path) -> Any:
    """What a part says; None where it is missing or damaged."""
    try:
        return json.loads(_content(path) or "null")["asked"]
    except (KeyError, TypeError, RecursionError, ValueError):
        return None


def read_study(path: Path | str) -> StudyRecord:
    """A study by its file; its results lie where the file does.

    Raises `DamagedFileError` when it is missing, no study or of another format, `UnreadableFileError` when nothing is
    known of it.
    """
    path = Path(path)
    layout = Layout(path.parent.parent)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            what = f"format {found['format']!r}, but this version of lmrnn reads {FORMAT}"
            raise DamagedFileError(path, what, "Use the version of lmrnn that wrote it, or run the study again")
        config = {**found["config"], "results": str(layout.results)}
        remember(config.get("plugins", ()))
        cells = [Cell(one["spec"]) for one in found["cells"]]
        files = [layout.results / one["file"] for one in found["cells"]]
        if config["study"] != path.parent.name:
            raise ValueError(f"it is of the study {config['study']}")
        return StudyRecord(config, cells, files)
    except FileNotFoundError as error:
        raise DamagedFileError(path, "this study has no such file", DO) from error
    except OSError as error:
        raise UnreadableFileError.of(path, "this study cannot be read", error) from error
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise DamagedFileError(path, f"this is no readable study ({type(error).__name__}: {error})", DO) from error
