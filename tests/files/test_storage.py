"""Files appear whole or not at all, and a changed byte is noticed."""

import errno
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmrnn.errors import DamagedFileError, ResourceError
from lmrnn.files.locks import is_held
from lmrnn.files.storage import atomic_path, lock, open_h5, temporaries, write_h5, write_text


def fill(file):
    file.attrs["name"] = "trial"
    file["values"] = np.arange(100, dtype=np.float32)


def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    write_text(path, "old")

    def fail():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_write_leaves_the_old_file_and_a_temporary_that_is_found(tmp_path):
    path = tmp_path / "table.csv"
    write_text(path, "old")
    code = (
        "import os, signal, sys; from lmrnn.files.storage import atomic_path\n"
        "with atomic_path(sys.argv[1]) as t:\n    t.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -9
    assert path.read_text() == "old"
    assert len(temporaries(path)) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named(tmp_path, number):
    def write():
        with atomic_path(tmp_path / "x") as temporary:
            temporary.write_text("half")
            raise OSError(number, "injected")

    with pytest.raises(ResourceError, match=r"no space left .* run the same command again"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_the_same_content_gives_the_same_bytes(tmp_path):
    for name in "ab":
        write_h5(tmp_path / name, "cell", 1, fill)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with open_h5(tmp_path / "a", "cell", 1) as file:
        assert file.attrs["name"] == "trial"
        assert file["values"][7] == 7


@settings(max_examples=60, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(tmp_path_factory, where, bit):
    path = tmp_path_factory.mktemp("flip") / "cell.h5"
    write_h5(path, "cell", 1, fill)
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=str(path)), open_h5(path, "cell", 1):
        pass


@pytest.mark.parametrize(
    ("kind", "version", "says"),
    [("dataset", 1, "a cell file where a dataset file was expected"), ("cell", 2, "schema version 1, but .* reads 2")],
)
def test_another_kind_or_schema_version_is_refused(tmp_path, kind, version, says):
    write_h5(tmp_path / "x.h5", "cell", 1, fill)
    with pytest.raises(DamagedFileError, match=says), open_h5(tmp_path / "x.h5", kind, version):
        pass


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DamagedFileError, match="does not exist"), open_h5(tmp_path / "x.h5", "cell", 1):
        pass


def test_a_lock_is_held_by_one_process_and_goes_with_it(tmp_path):
    path = tmp_path / "cell.lock"
    code = (
        "import sys, time; from lmrnn.files.storage import lock\n"
        "with lock(sys.argv[1]):\n    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        assert is_held(path)
        waited = []
        with lock(path, waiting=lambda: (waited.append(path), other.kill())):
            assert path.exists()
        assert waited == [path]
    assert not is_held(path)
    assert not path.exists()
