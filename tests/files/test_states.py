"""Folders of results in any state: a right result or one message, nothing lost, no traceback, no waiting for ever.

Each state is a results folder in the midst of its study (one finished cell, one with a checkpoint) to which something
has happened; a command then runs in it in a process of its own, as root or as another user.
"""

import contextlib
import io
import json
import os
import random
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path

import pytest

from lmrnn.cli.main import main
from lmrnn.study.cells import read_cell
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of
from lmrnn.training.run import run_cell
from tests.small_data import told_to_stop
from tests.studies import TINY, merged
from tests.training.test_train import assert_same

CONFIG = merged(TINY, {"results": "results", "compute": {"path": "reference"}})
USER, OTHER = 65534, 12345  # who runs the command, and whose files may lie about
SECONDS = 60
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A folder with a study in its midst, and its results when nothing happens to it."""
    whole, half = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("half")
    config = validate_config(CONFIG)
    first, second = cells_of(config)
    for folder in (whole, half):
        (folder / "study.yaml").write_text(json.dumps(CONFIG))
        run_cell(first, folder / "results", config["compute"], io.StringIO())
    run_cell(second, whole / "results", config["compute"], io.StringIO())
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.chdir(whole)  # each command once: another user may not reach what Python imports at their first use
        for command in COMMANDS:
            main([*(word.format(second.stem) for word in command), "--config", "study.yaml"])
    with told_to_stop(4), pytest.raises(Exception, match="SIGTERM"):
        run_cell(second, half / "results", config["compute"], io.StringIO())
    assert second.checkpoint(half / "results").exists()
    return half, (first, second), [read_cell(cell.path(whole / "results")) for cell in (first, second)]


def rights(mode):
    return lambda path: path.chmod(mode)


def given_away(path):
    os.chown(path, OTHER, OTHER)
    path.chmod(0o700 if path.is_dir() else 0o600)


def aside(path):
    """Something else takes a file's or folder's place; it is kept, and must still be there in the end."""
    kept = path.with_name(f"{path.name}.kept")
    path.rename(kept)
    return kept


def replaced(make):
    def change(path):
        make(path, aside(path))

    return change


def sparse(path):
    if path.is_file():
        os.truncate(path, 2 * 10**9)


def cut(path):
    if path.is_file():
        os.truncate(path, path.stat().st_size // 2)


def beside(names, content=b""):
    def change(path):
        for name in names:
            (path.parent / name.format(path.name)).write_bytes(content)

    return change


DEAD = f"999999\n{socket.gethostname()}\n".encode()
CHANGES = {
    **{f"mode {mode:o}": rights(mode) for mode in (0o000, 0o444, 0o555, 0o200, 0o111)},
    "somebody else's": given_away,
    "a file": replaced(lambda path, kept: path.write_bytes(b"something else\n")),
    "an empty file": replaced(lambda path, kept: path.write_bytes(b"")),
    "a folder": replaced(lambda path, kept: path.mkdir()),
    "a folder with something in it": replaced(lambda path, kept: (path / "notes").mkdir(parents=True)),
    "a pipe": replaced(lambda path, kept: os.mkfifo(path)),
    "a device": replaced(lambda path, kept: path.symlink_to("/dev/zero")),
    "a full device": replaced(lambda path, kept: path.symlink_to("/dev/full")),
    "a dangling link": replaced(lambda path, kept: path.symlink_to("nowhere")),
    "a circular link": replaced(lambda path, kept: path.symlink_to(path)),
    "a link to it": replaced(lambda path, kept: path.symlink_to(kept.name)),
    "an absolute link to it": replaced(lambda path, kept: path.symlink_to(kept)),
    "a link into itself": replaced(lambda path, kept: path.symlink_to(path / "x")),
    "nothing": aside,
    "half of it": cut,
    "a hole of 2 GB": sparse,
    "temporaries": beside([".{}.01234567.tmp", ".{}.abcdefab.tmp"], b"half"),
    "locks": beside(["{}.lock", "{}.lock.soft", "{}.lock"], DEAD),
    "foreign locks": beside(["{}.lock", "{}.lock.soft"], b"\xff\x00 what is this"),
}
COMMANDS = (*[["train", "--cell", "{}"]] * 5, ["status"], ["cells"], ["prune"])


def places(folder):
    return [folder / "results", *sorted((folder / "results").rglob("*"))]


def in_a_process(work, uid, says):
    """Run in a child of this process, as a user; its exit status, or the signal that ended it as a negative one."""
    child = os.fork()
    if not child:
        status = 70
        try:
            signal.alarm(SECONDS)
            output = os.open(says, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o666)
            for number in (1, 2):
                os.dup2(output, number)
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            import sys

            sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
            sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
            status = work()
        except SystemExit as left:
            status = left.code if isinstance(left.code, int) else 1
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def contents(folder):
    """Every file's bytes, as a set: where it lies does not matter."""
    return {
        path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 10**8
    }


def check(study, tmp_path, seed):
    """One state; what is wrong with its outcome, or nothing."""
    half, cells, right = study
    rng = random.Random(seed)
    folder = tmp_path / f"state{seed}"
    shutil.copytree(half, folder, symlinks=True)
    uid = rng.choice((0, USER))
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, uid)
    name = [*CHANGES][seed % len(CHANGES)]
    place = rng.choice(places(folder))
    number = rng.randrange(2)
    command = [word.format(cells[number].stem) for word in COMMANDS[rng.randrange(len(COMMANDS))]]
    valuable = {path.read_bytes() for path in (folder / "results" / "cells").rglob("*.h5")}
    if name in ("half of it", "a hole of 2 GB") or "lock" in name:
        valuable -= {place.read_bytes()} if place.is_file() else set()
    CHANGES[name](place)
    what = f"{seed}: {name} in place of {place.relative_to(folder)} as {uid}, {' '.join(command)}"
    says = tmp_path / f"says{seed}"

    def work():
        os.chdir(folder)
        return main([*command, "--config", "study.yaml"])

    began = time.monotonic()
    status = in_a_process(work, uid, says)
    said = says.read_text(errors="replace")
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    wrong = []
    if status not in (0, 1) or time.monotonic() - began > SECONDS:
        wrong.append(f"status {status}")
    if "Traceback" in said or "mistake in lmrnn" in said:
        wrong.append("traceback")
    if status == 1 and sum(line.startswith("error: ") for line in said.splitlines()) != 1:
        wrong.append("not one message")
    if not valuable <= contents(folder):
        wrong.append("a finished cell is lost")
    if status == 0 and command[0] == "train":
        try:
            assert_same(read_cell(cells[number].path(folder / "results"), cells[number].spec), right[number])
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}")
    return [f"{what}: {', '.join(wrong)}\n{said}"] if wrong else [], status, what


@pytest.fixture(autouse=True)
def unsynced(monkeypatch):
    """Thousands of files that nobody needs after a power cut."""
    monkeypatch.setattr("lmrnn.files.storage._sync", lambda path: None)


@pytest.fixture
def shared():
    """A folder that other users can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def run(study, folder, seeds):
    outcomes = [check(study, folder, seed) for seed in seeds]
    wrong = [line for lines, _, _ in outcomes for line in lines]
    assert not wrong, f"{len(wrong)} of {len(outcomes)}\n" + "\n".join(wrong)
    assert {status for _, status, _ in outcomes} == {0, 1}


@root
def test_forty_states(study, shared):
    run(study, shared, range(40))


@root
@pytest.mark.soak
@pytest.mark.skipif("LMRNN_SOAK_STATES" not in os.environ, reason="started by `make soak`")
@pytest.mark.timeout(1200)
def test_four_hundred_states(study, shared):
    run(study, shared, range(40, 40 + int(os.environ["LMRNN_SOAK_STATES"])))
