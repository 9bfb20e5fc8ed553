"""Results that stay: the tables behind the figures and numbers of the documentation, in docs/results/<study>/.

    python docs/results.py keep results/laptop training_speed    # tables of a finished study, and the figures shown
    python docs/results.py draw                                  # `make figures`: these figures anew, from the tables

A study's folder has its tables, compressed, and made.json: which configuration, version, commit and machine made them.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from lmrnn import __version__
from lmrnn.figures.registry import FIGURES, draw
from lmrnn.files.tables import check_table
from lmrnn.study.cells import read_cell

DOCS = Path(__file__).parent
KEPT = DOCS / "results"


def keep(folder: Path, figures: list[str], trained: str = "not recorded") -> Path:
    """Keep the tables of a finished study; those of a study of the same name are replaced. How many cells were trained
    with which commit is what their files say; `trained` is said of those that do not, as cells of older versions.
    """
    study = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    target = KEPT / folder.name
    tables = sorted(path.relative_to(folder) for path in folder.rglob("*.csv"))
    digests = {}
    for table in tables:
        content = check_table(folder / table)
        place = target / f"{table}.gz"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(gzip.compress(content, mtime=0))  # the same table, the same bytes
        digests[table.with_suffix("").as_posix()] = hashlib.sha256(content).hexdigest()
    cells = pd.read_csv(folder / "cells.csv")
    made = {
        "version": __version__,
        "commit": subprocess.check_output(["git", "rev-parse", "HEAD"], text=True, cwd=DOCS).strip(),
        "trained": _trained(cells["file"], trained),
        "cells": len(cells),
        "hours": round(float(cells[["training_seconds", "evaluation_seconds"]].sum().sum()) / 3600, 2),
        "figures": figures,
        "tables": digests,
        "configuration": study["config"],
    }
    (target / "made.json").write_text(json.dumps(made, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return target


def _trained(files: Iterable[str], otherwise: str) -> dict[str, int]:
    """Number of cells by the commit that trained them; `otherwise` for those whose files do not say."""
    codes = [read_cell(file, weights=False).provenance.get("code", {}).get("commit") for file in files]
    return dict(Counter(code or otherwise for code in codes))


def read(study: str, table: str) -> pd.DataFrame:
    """A table that was kept, e.g. ``laptop``, ``curves/training_speed``; ValueError if it is not as it was kept."""
    content = gzip.decompress((KEPT / study / f"{table}.csv.gz").read_bytes())
    if hashlib.sha256(content).hexdigest() != made(study)["tables"][table]:
        raise ValueError(f"{study}/{table} is not the table that made.json speaks of")
    return pd.read_csv(io.BytesIO(content)) if content.strip() else pd.DataFrame()


def made(study: str) -> dict:
    """What made the tables of a study."""
    return json.loads((KEPT / study / "made.json").read_text(encoding="utf-8"))


def studies() -> list[str]:
    """Names of all studies that were kept."""
    return sorted(path.parent.name for path in KEPT.glob("*/made.json"))


def draw_figures(folder: Path = DOCS) -> list[Path]:
    """Draw every figure that is shown, as docs/<study>_<figure>.png."""
    found = []
    for study in studies():
        for name in made(study)["figures"]:
            stem = folder / f"{study}_{name}"
            draw(name, [read(study, table) for table in FIGURES[name].tables], stem)
            os.remove(f"{stem}.svg")
            found.append(stem.with_suffix(".png"))
    return found


def main() -> None:
    """The two commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    keeping = commands.add_parser("keep")
    keeping.add_argument("folder", type=Path)
    keeping.add_argument("figures", nargs="*", metavar="FIGURE", help=", ".join(FIGURES))
    keeping.add_argument("--trained", default="not recorded", help="commit of the cells whose files name none")
    commands.add_parser("draw")
    arguments = parser.parse_args()
    if arguments.command == "keep":
        print(keep(arguments.folder, arguments.figures, arguments.trained))
    else:
        print(*draw_figures(), sep="\n")


if __name__ == "__main__":
    main()
