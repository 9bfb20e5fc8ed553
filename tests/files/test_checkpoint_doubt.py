"""A checkpoint of which nothing is known stays where it is, one that is not good is set aside: none is ever deleted."""

import errno
import io
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from lmrnn.errors import Interrupted, UnreadableFileError
from lmrnn.study.cells import read_cell
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of
from lmrnn.training import checkpoint as checkpoints
from lmrnn.training.run import run_cell
from tests.files.test_states import OTHER, USER, in_a_process, root
from tests.small_data import told_to_stop
from tests.studies import TINY, merged
from tests.training.test_train import assert_same

CONFIG = validate_config(merged(TINY, {"compute": {"path": "reference", "checkpoint_seconds": 1e-9}}))
CELL, OTHER_CELL = cells_of(CONFIG)[:2]
GENERATIONS = {"the newest": (0,), "the one before": (1,), "both": (0, 1)}


def run(results, cell=CELL):
    log = io.StringIO()
    run_cell(cell, results, CONFIG["compute"], log)
    return log.getvalue()


@pytest.fixture(scope="module")
def midst(tmp_path_factory):
    """A training cut short after step 4, with its checkpoints of steps 4 and 3, and its result when it is not."""
    half, whole = tmp_path_factory.mktemp("half"), tmp_path_factory.mktemp("whole")
    with told_to_stop(4), pytest.raises(Interrupted):
        run(half)
    run(whole)
    return half, read_cell(CELL.path(whole))


@pytest.fixture
def results(midst, tmp_path):
    shutil.copytree(midst[0], tmp_path / "results")
    return tmp_path / "results"


def generations(results):
    return checkpoints.generations(CELL.checkpoint(results))


def kept(results):
    return {path.read_bytes() for path in results.rglob("*") if path.is_file()}


def answers(monkeypatch, paths, number):
    """Opening these files fails with an errno."""
    system = os.open

    def fail(path, *arguments, **options):
        if Path(os.fsdecode(path)) in paths:
            raise OSError(number, os.strerror(number), str(path))
        return system(path, *arguments, **options)

    monkeypatch.setattr(os, "open", fail)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EMFILE, errno.EACCES])
@pytest.mark.parametrize("which", GENERATIONS)
def test_a_checkpoint_that_the_system_does_not_let_be_read(midst, results, monkeypatch, which, number):
    files = [generations(results)[index] for index in GENERATIONS[which]]
    before = [file.read_bytes() for file in files]
    with monkeypatch.context() as patch:
        answers(patch, files, number)
        if which == "the one before":
            said = run(results)
            assert "resumed at step 4" in said
            assert os.strerror(number) in said
        else:
            with pytest.raises(UnreadableFileError, match=f"{os.strerror(number)}.*once it is moved away"):
                run(results)
            assert [file.read_bytes() for file in files] == before
    assert kept(results) >= set(before)
    if which != "the one before":  # the disk answers again
        assert "resumed at step 4" in run(results)
    assert_same(read_cell(CELL.path(results)), midst[1])


def test_an_error_while_a_checkpoint_is_read_leaves_both(results, faults, run_python):
    newest, before = generations(results)
    contents = newest.read_bytes(), before.read_bytes()
    code = (
        "import sys\nfrom lmrnn.training.run import run_cell\nfrom lmrnn.study.grid import Cell\n"
        f"run_cell(Cell({CELL.spec!r}), {str(results)!r}, {CONFIG['compute']!r}, sys.stdout)"
    )
    done = run_python(code, env=faults("read", errno.EIO, f"checkpoints/{CELL.stem}.h5"))
    assert f"UnreadableFileError: {newest}: this checkpoint file cannot be read" in done.stderr
    assert (newest.read_bytes(), before.read_bytes()) == contents


@pytest.mark.parametrize("which", GENERATIONS)
def test_a_checkpoint_of_a_newer_version(midst, results, monkeypatch, which):
    snapshot = checkpoints.read(generations(results)[0], CELL.spec)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "CHECKPOINT_SCHEMA", checkpoints.CHECKPOINT_SCHEMA + 1)
        checkpoints.save(results / "newer.h5", CELL.spec, snapshot)
    content = (results / "newer.h5").read_bytes()
    (results / "newer.h5").unlink()
    for index in GENERATIONS[which]:
        generations(results)[index].write_bytes(content)
    if which == "the one before":
        assert "resumed at step 4" in run(results)
        assert_same(read_cell(CELL.path(results)), midst[1])
    else:
        with pytest.raises(UnreadableFileError, match="schema version 2"):
            run(results)
        assert all(file.exists() for file in generations(results))
    assert content in kept(results)


@root
@pytest.mark.parametrize("which", GENERATIONS)
def test_a_checkpoint_of_another_user(midst, which):
    with tempfile.TemporaryDirectory() as folder:  # which other users can reach, unlike pytest's own
        os.chmod(folder, 0o755)
        results = Path(folder) / "results"
        shutil.copytree(midst[0], results)
        for path in (results, *results.rglob("*")):
            os.chown(path, USER, USER)
        files = [generations(results)[index] for index in GENERATIONS[which]]
        before = {file.read_bytes() for file in files}
        for file in files:
            os.chown(file, OTHER, OTHER)
            file.chmod(0o600)

        def work():
            try:
                run(results)
            except UnreadableFileError as error:
                return 3 if "Permission denied" in str(error) and "another user" in str(error) else 4
            return 0

        assert in_a_process(work, USER, Path(folder) / "says") == (0 if which == "the one before" else 3)
        assert kept(results) >= before


def damage(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def of_another_cell(file):
    results = file.parents[4]
    if not OTHER_CELL.checkpoint(results).exists():
        with told_to_stop(4), pytest.raises(Interrupted):
            run(results, OTHER_CELL)
    shutil.copy(OTHER_CELL.checkpoint(results), file)


def misfit(file):
    snapshot = checkpoints.read(file, CELL.spec)
    snapshot.values["step"] = 5
    checkpoints.save(file, CELL.spec, snapshot)


@pytest.mark.parametrize("make", [damage, of_another_cell, misfit])
@pytest.mark.parametrize("which", GENERATIONS)
def test_a_checkpoint_that_is_not_good_is_set_aside(midst, results, which, make):
    files = [generations(results)[index] for index in GENERATIONS[which]]
    for file in files:
        make(file)
    before = {file.read_bytes() for file in files}
    said = run(results)
    assert said.count("warning: checkpoint not used") == len(files) - (make is misfit and which == "the one before")
    goes_on = {"the newest": 4 if make is misfit else 3, "the one before": 4, "both": 0}[which]
    assert (f"resumed at step {goes_on} " if goes_on else "step 0/") in said
    if make is not misfit:
        assert before <= {path.read_bytes() for path in (results / "trash" / "checkpoints").rglob("*.h5*")}
    assert_same(read_cell(CELL.path(results)), midst[1])


@pytest.mark.parametrize("make", ["damaged", "another"])
def test_a_cell_file_that_is_not_good_is_set_aside_and_trained_again(midst, results, make):
    path = CELL.path(results)
    run(results)
    if make == "damaged":
        damage(path)
    else:
        run(results, OTHER_CELL)
        shutil.copy(OTHER_CELL.path(results), path)
    content = path.read_bytes()
    assert "trained again" in run(results)
    assert [one.read_bytes() for one in (results / "trash" / "cells").rglob("*.h5")] == [content]
    assert_same(read_cell(path), midst[1])


@root
def test_a_checkpoint_that_stays_does_not_spoil_a_finished_cell(midst):
    """In a folder whose files belong to another user and that lets nobody else remove them."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        results = Path(folder) / "results"
        shutil.copytree(midst[0], results)
        run(results)
        shutil.copytree(midst[0] / "checkpoints", results / "checkpoints", dirs_exist_ok=True)
        for path in (results, *results.rglob("*")):
            os.chown(path, USER, USER)
        place = CELL.checkpoint(results).parent
        os.chown(place, OTHER, OTHER)
        place.chmod(0o1777)
        for path in place.iterdir():
            os.chown(path, OTHER, OTHER)
        assert in_a_process(lambda: "warning" not in run(results), USER, Path(folder) / "says") == 0
        assert CELL.checkpoint(results).exists()
