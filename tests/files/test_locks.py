"""Locks of the dead are cleared away, those of the living are not."""

import subprocess
import sys

import pytest

from lmrnn.files.locks import take_part


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "locks").mkdir()
    return tmp_path


def joined(folder):
    """A process that has joined and set two locks, as Snakemake does."""
    code = (
        "import sys, time; from pathlib import Path; from lmrnn.files.locks import take_part\n"
        "handle, cleared = take_part(sys.argv[1] + '/drivers', sys.argv[1] + '/locks')\n"
        "for kind in ('input', 'output'): (Path(sys.argv[1]) / 'locks' / f'0.{kind}.lock').touch()\n"
        "print(cleared, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)
    return process, int(process.stdout.readline())


def leave(process):
    process.kill()
    process.communicate()


def join(folder):
    """Join and leave at once; how many locks were cleared away."""
    handle, cleared = take_part(folder / "drivers", folder / "locks")
    handle.close()
    return cleared


def test_locks_of_a_killed_process_are_cleared_away(folder):
    process, _ = joined(folder)
    leave(process)
    assert join(folder) == 2
    assert not list((folder / "locks").iterdir())
    assert join(folder) == 0


def test_locks_stay_while_anybody_lives(folder):
    first, _ = joined(folder)
    second, cleared = joined(folder)
    assert cleared == 0
    leave(first)
    assert join(folder) == 0
    assert len(list((folder / "locks").iterdir())) == 2
    leave(second)
    assert join(folder) == 2


@pytest.mark.parametrize("before", ["elsewhere\n", ""], ids=["another machine", "nobody"])
def test_locks_of_somebody_unknown_stay_until_they_are_given_back(folder, before):
    (folder / "locks" / "0.input.lock").touch()
    (folder / "drivers").write_text(before)
    assert [join(folder), join(folder)] == [0, 0]
    (folder / "locks" / "0.input.lock").unlink()
    assert join(folder) == 0
    process, _ = joined(folder)
    leave(process)
    assert join(folder) == 2
