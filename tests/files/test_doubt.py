"""A file that cannot be read for a passing reason is not a damaged one, and nothing is removed for it."""

import ast
import errno
import io
import os
import re
import shutil

import h5py
import numpy as np
import pytest

from lmrnn.datasets import generate_dataset, load_dataset
from lmrnn.errors import DamagedFileError, Interrupted, UnreadableFileError
from lmrnn.files.removal import remove_temporaries, set_aside, temporaries
from lmrnn.files.storage import USER_BLOCK, open_h5, read_array, write_h5
from lmrnn.study.cells import read_cell
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of
from lmrnn.training import checkpoint as checkpoints
from lmrnn.training.run import ensure_datasets, run_cell
from tests import fuzzing
from tests.conftest import ROOT
from tests.small_data import told_to_stop
from tests.studies import TINY, merged

CONFIG = validate_config(merged(TINY, {"compute": {"path": "reference"}}))
READ = """
import sys
from lmrnn.files.storage import open_h5
try:
    with open_h5(sys.argv[1], "cell", 1) as file:
        print("read", file["x"][()].sum())
except Exception as error:
    print(type(error).__name__, error)
"""


def fill(file):
    file["x"] = np.arange(5000.0)
    file.attrs["a"] = "b"


@pytest.fixture
def path(tmp_path):
    write_h5(tmp_path / "whole.h5", "cell", 1, fill)
    return tmp_path / "whole.h5"


@pytest.mark.parametrize("call", ["read", "open"])
@pytest.mark.parametrize("name", ["EIO", "ESTALE", "EMFILE", "EACCES", "ENOMEM"])
def test_a_failure_of_the_system_is_told_apart_from_damage(path, faults, run_python, call, name):
    before = path.read_bytes()
    code = f"import sys; sys.argv = ['', {str(path)!r}]\n{READ}"
    done = run_python(code, env=faults(call, getattr(errno, name), "whole.h5"))
    words = os.strerror(getattr(errno, name))
    assert done.stdout.startswith(f"UnreadableFileError {path}: this cell file cannot be read ({words})."), done
    assert path.read_bytes() == before


def test_a_file_of_a_newer_schema_is_not_damaged_and_one_of_an_older_is(tmp_path):
    write_h5(tmp_path / "x.h5", "cell", 2, fill)
    with pytest.raises(UnreadableFileError, match="schema version 2, but this version of lmrnn reads 1"):
        open_h5(tmp_path / "x.h5", "cell", 1).__enter__()
    with pytest.raises(DamagedFileError, match="schema version 2, but this version of lmrnn reads 3"):
        open_h5(tmp_path / "x.h5", "cell", 3).__enter__()


def test_a_finished_cell_that_cannot_be_read_is_neither_trained_again_nor_replaced(tmp_path, faults, run_python):
    cell = cells_of(CONFIG)[0]
    run_cell(cell, tmp_path, CONFIG["compute"], io.StringIO())
    path = cell.path(tmp_path)
    before, inode = path.read_bytes(), path.stat().st_ino
    code = (
        "import sys\nfrom lmrnn.training.run import run_cell\nfrom lmrnn.study.grid import Cell\n"
        f"run_cell(Cell({cell.spec!r}), {str(tmp_path)!r}, {CONFIG['compute']!r}, sys.stdout)"
    )
    done = run_python(code, env=faults("read", errno.EIO, path.name))
    assert "UnreadableFileError" in done.stderr
    assert path.read_bytes() == before
    assert path.stat().st_ino == inode


def read_all(path):
    with open_h5(path, "cell", 1) as file:
        return [read_array(file, name) for name in file]


def linked(link):
    def change(file):
        file["group/inner"] = link

    return change


@pytest.mark.timeout(20)
def test_links_are_refused_before_they_are_followed(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    layout = h5py.VirtualLayout((10,), "f8", maxshape=(None,))
    layout[:] = h5py.VirtualSource(str(tmp_path / "pipe"), "x", shape=(10,))
    changes = {
        "external": linked(h5py.ExternalLink(str(tmp_path / "pipe"), "x")),
        "soft": linked(h5py.SoftLink("/x")),
        "dangling": linked(h5py.SoftLink("/nowhere")),
        "virtual": lambda file: file.create_virtual_dataset("v", layout),
        "raw": lambda file: file.create_dataset("r", (5,), "f8", external=[(str(tmp_path / "pipe"), 0, 40)]),
    }
    for name, change in changes.items():
        fuzzing.sign(tmp_path / f"{name}.h5", "cell", {}, {"x": np.arange(3.0)}, change)
        with pytest.raises(DamagedFileError, match=r"is a link|are not in this file"):
            read_all(tmp_path / f"{name}.h5")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_not_waited_for(tmp_path, kind):
    path = tmp_path / "x.h5"
    make = {"pipe": os.mkfifo, "device": lambda path: os.symlink("/dev/zero", path), "folder": os.mkdir}
    make[kind](path)
    with pytest.raises(UnreadableFileError, match="a folder, a pipe or a device lies in its place"):
        open_h5(path, "cell", 1).__enter__()


def test_a_file_of_a_wrong_size_is_refused_before_it_is_read(path, monkeypatch):
    whole = path.read_bytes()
    monkeypatch.setattr("lmrnn.files.storage._digest", lambda handle: pytest.fail("was read"))
    for content, size in ((whole, 2 * 10**9), (whole[:USER_BLOCK], 2 * 10**9), (b"", 2 * 10**9), (whole, 900)):
        path.write_bytes(content)
        os.truncate(path, size)
        with pytest.raises(DamagedFileError, match=r"checksum|foreign"):
            open_h5(path, "cell", 1).__enter__()
    path.write_bytes(whole)
    with pytest.raises(DamagedFileError, match="takes at most 1,000"):
        open_h5(path, "cell", 1, at_most=1000).__enter__()


def test_no_reader_reads_a_file_that_is_larger_than_its_spec_allows(tmp_path, monkeypatch):
    """Whose header and superblock are those of a good one; a hole of some GB behind it takes no room on the disk."""
    cell = cells_of(CONFIG)[0]
    data = ensure_datasets(cell, tmp_path)
    with told_to_stop(2), pytest.raises(Interrupted):
        run_cell(cell, tmp_path, CONFIG["compute"], io.StringIO())
    checkpoint = cell.checkpoint(tmp_path)
    shutil.copy(checkpoint, tmp_path / "kept.h5")
    run_cell(cell, tmp_path, CONFIG["compute"], io.StringIO())
    shutil.copy(tmp_path / "kept.h5", checkpoint)
    dataset = cell.dataset_path(tmp_path, "train")
    monkeypatch.setattr("lmrnn.files.storage._digest", lambda handle: pytest.fail("was read"))
    for path in (cell.path(tmp_path), checkpoint, dataset):
        os.truncate(path, 2 * 10**9)
        with open(path, "r+b") as file:
            file.seek(USER_BLOCK + 28)
            file.write((2 * 10**9).to_bytes(8, "little"))
    with pytest.raises(DamagedFileError, match="takes at most"):
        read_cell(cell.path(tmp_path), cell.spec)
    with pytest.raises(DamagedFileError, match="takes at most"):
        load_dataset(dataset, data["train"].spec)
    lines = []
    assert checkpoints.usable(checkpoint, cell.spec, lines.append) is None
    assert "takes at most" in lines[0]
    written = []
    monkeypatch.setattr("lmrnn.datasets.files.write_h5", lambda *arguments: written.append(arguments[0]))
    generate_dataset(data["train"].spec, dataset)
    assert written == [dataset]


def test_what_is_set_aside_can_be_fetched_back_and_replaces_nothing(tmp_path):
    for text in ("one", "two", "three"):
        (tmp_path / "cells").mkdir(exist_ok=True)
        (tmp_path / "cells" / "a.h5").write_text(text)
        target = set_aside(tmp_path / "cells" / "a.h5", tmp_path)
        assert target.read_text() == text
        assert target.parent == tmp_path / "trash" / "cells"
        assert not (tmp_path / "cells" / "a.h5").exists()
    assert len(list((tmp_path / "trash" / "cells").iterdir())) == 3


def test_temporaries_of_a_name_with_brackets_are_its_own(tmp_path):
    for name in (".a[1].h5.01234567.tmp", ".a1.h5.01234567.tmp"):
        (tmp_path / name).touch()
    remove_temporaries(tmp_path / "a[1].h5")
    assert temporaries(tmp_path / "a1.h5") == list(tmp_path.iterdir())


def test_nothing_is_removed_or_moved_outside_of_one_module():
    """Only lmrnn/files/removal.py takes files away, and atomic_path puts the new in the place of the old."""
    names = r"unlink|rmtree|rmdir|removedirs|remove|rename|renames|replace|move|symlink_to"
    found = []
    for path in sorted((ROOT / "lmrnn").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            owner = ast.unparse(node.func.value)
            of_path = node.func.attr in ("rename", "replace") and len(node.args) == 1 and not node.keywords
            if re.fullmatch(names, node.func.attr) and (
                (of_path and not isinstance(node.args[0], ast.Constant | ast.JoinedStr))
                or owner in ("os", "shutil")
                or node.func.attr in ("unlink", "rmtree", "rmdir", "renames", "symlink_to")
            ):
                found.append((str(path.relative_to(ROOT)), f"{owner}.{node.func.attr}"))
    assert {path for path, _ in found} == {"lmrnn/files/removal.py", "lmrnn/files/storage.py"}
    assert [call for path, call in found if path == "lmrnn/files/storage.py"] == ["os.replace"]
