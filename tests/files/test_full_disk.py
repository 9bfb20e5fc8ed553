"""A full disk stops a run with one clear message; what was finished stays whole, the rest follows later."""

import contextlib
import errno
import io
import os
import subprocess
import threading
import time

import numpy as np
import pandas as pd
import pytest

from lmrnn.errors import ResourceError
from lmrnn.files import storage
from lmrnn.files.sink import Sink
from lmrnn.files.storage import open_h5, write_h5
from lmrnn.steps import collect_cells
from lmrnn.study.cells import read_cell
from lmrnn.study.config import load_config
from lmrnn.study.grid import cells_of
from lmrnn.training.run import run_cell
from tests.studies import Study, steady
from tests.training.test_train import assert_same


class Disk:
    """A file on a disk with so many bytes left; like a real one it takes a part of what does not fit whole."""

    def __init__(self, file, left):
        self.file, self.left = file, left

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, data):
        if not self.left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = self.file.write(data[: self.left])
        self.left -= taken
        return taken


def fill(file, value):
    file.attrs["value"] = value
    rows = file.create_dataset("rows", (400, 33), np.float32, fill_time="never")
    for start in range(0, 400, 50):
        rows[start : start + 50] = np.full((50, 33), value, np.float32)
    for name in "abcdefgh":
        file[f"group/{name}"] = np.full(500, value)


def test_hdf5_survives_a_full_disk_at_any_point_of_its_file(tmp_path, monkeypatch):
    path = tmp_path / "set.h5"
    plenty = 10**9
    disks = []

    def put(value, left):
        monkeypatch.setattr(storage, "Sink", lambda raw: Sink(disks.append(Disk(raw, left)) or disks[-1]))
        write_h5(path, "dataset", 1, lambda file: fill(file, value))

    put(1, plenty)
    old, written = path.read_bytes(), plenty - disks[0].left
    for left in np.linspace(0, written - 1, 60, dtype=int).tolist():
        with pytest.raises(ResourceError, match=r"no space left on the disk while writing .*set\.h5"):
            put(2, left)
        assert path.read_bytes() == old
        assert list(tmp_path.iterdir()) == [path]
    put(2, plenty)
    with open_h5(path, "dataset", 1) as file:
        assert np.all(file["rows"][()] == 2)


def test_a_log_on_a_full_disk_goes_on_at_the_terminal(run_python):
    done = run_python(
        "from lmrnn.cli.exits import logged\nfrom lmrnn.errors import ResourceError\n"
        "with logged('/dev/full') as log:\n"
        "    print('step 1', file=log, flush=True)\n    raise ResourceError('no space left, make some')"
    )
    assert done.returncode == 1
    assert "/dev/full cannot be written (No space left on device)" in done.stderr
    assert "step 1" in done.stderr
    assert "error: no space left, make some" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def small_disk(tmp_path):
    """A study whose results lie on a disk of their own."""
    study = Study(tmp_path / "study")
    study.results.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=30m", "tmpfs", str(study.results)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk; the tests above inject the same error")
    yield study
    subprocess.run(["umount", "--lazy", str(study.results)], check=True)


def fill_once(finished, folder, left=40_000):
    """Somebody else fills the disk, but for `left` bytes, as soon as one of the files is there: what is too small from
    the start is refused before the first job."""
    while not any(path.exists() for path in finished):
        time.sleep(0.005)
    with open(folder / "filler", "wb", buffering=0) as filler:
        with contextlib.suppress(OSError):
            while True:
                filler.write(bytes(100_000))
        filler.truncate(max(filler.tell() - left, 0))


def test_a_sweep_on_a_full_disk_stops_and_completes_after_space_is_made(small_disk, tmp_path):
    study, table = small_disk, "results/tiny/cells.csv"
    study.change(grid={"connectivity": ["autapse", "full"]}, network={"neurons": 400}, compute={"path": "reference"})
    cells = cells_of(load_config(study.config_file))
    files = [cell.path(study.results) for cell in cells]
    filling = threading.Thread(target=fill_once, args=[files, study.results], daemon=True)
    filling.start()
    stopped = study.snakemake(table, "--cores", "1")
    assert stopped.returncode != 0
    assert "no space left on the disk while writing results/" in stopped.stdout
    assert "make space and run the same command again" in stopped.stdout
    assert "Traceback" not in stopped.stdout
    (first,) = [path for path in files if path.exists()]
    read_cell(first)
    before = first.stat()
    assert not (study.folder / table).exists()

    filling.join(timeout=10)
    (study.results / "filler").unlink()
    assert study.snakemake(table, "--cores", "1").returncode == 0
    after = first.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    undisturbed, compute = tmp_path / "undisturbed", load_config(study.config_file)["compute"]
    for cell in cells:
        run_cell(cell, undisturbed, compute, io.StringIO())
        assert_same(read_cell(cell.path(study.results)), read_cell(cell.path(undisturbed)))
    collect_cells(cells, undisturbed, tmp_path / "cells.csv")
    pd.testing.assert_frame_equal(steady(study.folder / table), steady(tmp_path / "cells.csv"))
    assert not [path for path in study.results.rglob("*") if path.name.endswith(".tmp")]
