"""Tables that were changed, cut or mixed up: named, kept and made anew from the cells; never in a figure."""

import os
import shutil

import numpy as np
import pytest

from lmrnn import steps
from lmrnn.curves.tables import TABLES
from lmrnn.errors import LmrnnError
from lmrnn.files.tables import checksum_file, read_table
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of
from lmrnn.study.layout import Layout
from lmrnn.study.upkeep import set_damaged_aside
from tests.random_studies import train_all
from tests.studies import TINY, merged

MUTATIONS = 40
MORE = int(os.environ.get("LMRNN_SOAK_TABLES", "0"))


def digit(content, rng):
    """Another digit in the place of one."""
    places = [i for i, byte in enumerate(content) if 48 <= byte <= 57]
    place = places[rng.integers(len(places))]
    return content[:place] + b"%d" % ((content[place] - 48 + int(rng.integers(1, 10))) % 10) + content[place + 1 :]


def rows(content, rng, change):
    lines = content.splitlines(keepends=True)
    change(lines, int(rng.integers(len(lines))))
    return b"".join(lines)


# what becomes of a file's content; None: it is removed
CHANGES = {
    "a digit": digit,
    "a byte": lambda c, rng: (i := int(rng.integers(len(c)))) * 0 or c[:i] + bytes([c[i] ^ 1]) + c[i + 1 :],
    "cut": lambda c, rng: c[: int(rng.integers(len(c)))],
    "emptied": lambda c, rng: b"",
    "a row less": lambda c, rng: rows(c, rng, lambda lines, i: lines.pop(i)),
    "a row twice": lambda c, rng: rows(c, rng, lambda lines, i: lines.insert(i, lines[i])),
    "rows turned": lambda c, rng: b"".join(c.splitlines(keepends=True)[::-1]) + b"\n",
    "zeros": lambda c, rng: b"\0" * len(c),
    "noise": lambda c, rng: rng.bytes(300),
    "lines of Windows": lambda c, rng: c.replace(b"\n", b"\r\n"),
    "a mark of UTF-8": lambda c, rng: b"\xef\xbb\xbf" + c,
    "UTF-16": lambda c, rng: c.decode("latin-1").encode("utf-16"),
    "a picture": lambda c, rng: b"\x89PNG\r\n\x1a\n" + rng.bytes(100),
    "twice": lambda c, rng: c + c,
    "capitals": lambda c, rng: c.swapcase(),
    "removed": lambda c, rng: None,
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A trained study with its tables: configuration, cells, folder of results, tables."""
    results = tmp_path_factory.mktemp("tables") / "results"
    grid = {"connectivity": ["autapse", "full"], "trials_per_task": [4, 8], "seed": [0, 1]}
    config = validate_config(merged(TINY, {"results": str(results), "grid": grid}))
    cells = cells_of(config)
    train_all(config, cells, seed=1)
    study = Layout(results).study(config["study"])
    tables = [study.cells, *(study.curve(name) for name in TABLES)]
    make(config, cells, study, tables)
    return config, cells, study, tables


def make(config, cells, study, tables):
    """What the workflow would make anew: the table of cells where it is missing, and all that rests on it."""
    if not study.cells.exists():
        steps.collect_cells(cells, config["results"], study.cells)
    if not all(table.exists() for table in tables[1:]):
        steps.compute_curves(cells, config, study.cells, tables[1:])


def mutate(files, rng):
    """Change one to three files in one way each; what was done."""
    done = {}
    for _ in range(rng.integers(1, 4)):
        path = files[rng.integers(len(files))]
        if not path.exists() or not path.read_bytes():
            continue
        name = list(CHANGES)[rng.integers(len(CHANGES))]
        content = CHANGES[name](path.read_bytes(), rng)
        done[path] = name
        path.unlink() if content is None else path.write_bytes(content)
    return done


def refused(table):
    """What is said of a table that is not read; None where it is."""
    try:
        read_table(table)
    except LmrnnError as error:
        return str(error)
    return None


def go_through(seed, finished):
    config, cells, study, tables = finished
    rng = np.random.default_rng(seed)
    files = [*tables, *map(checksum_file, tables)]
    good = {path: path.read_bytes() for path in files}
    done = mutate(files, rng)
    changed = {path: path.read_bytes() for path in tables if path.exists() and path.read_bytes() != good[path]}
    picture = study.figure("training_speed", "png")
    for table in tables:
        if {table, checksum_file(table)} & set(done):
            refusal = refused(table)
            if refusal is None:  # nothing that counts was changed
                assert table.read_bytes() == good[table], (seed, done)
                continue
            assert str(table) in refusal, (seed, done)
            assert len(refusal.splitlines()) <= 3
            with pytest.raises(LmrnnError):
                steps.draw_figure("training_speed", [table], picture, "okabe_ito")
    said = set_damaged_aside(tables, Layout(config["results"]))
    for path, content in changed.items():
        assert any(str(path) in line for line in said), (seed, done)
        kept = Layout(config["results"]).trash / path.relative_to(config["results"])
        assert content in [one.read_bytes() for one in kept.parent.glob(f"{kept.name}*")], (seed, done)
    make(config, cells, study, tables)
    assert {path: path.read_bytes() for path in tables} == {path: good[path] for path in tables}, (seed, done)
    for path in files:
        path.write_bytes(good[path])
    shutil.rmtree(Layout(config["results"]).trash, ignore_errors=True)


def test_tables_that_were_changed_are_named_kept_and_made_anew(finished):
    for seed in range(MUTATIONS):
        go_through(seed, finished)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not MORE, reason="started by `make soak`")
def test_many_changed_tables_are_named_kept_and_made_anew(finished):
    for seed in range(MUTATIONS, MUTATIONS + MORE):
        go_through(seed, finished)
