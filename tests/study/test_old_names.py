"""Results of version 0.1, whose names carried fewer digits of the hash, are taken over and not trained again."""

import io
import threading

import h5py
import pytest

from lmrnn.files.storage import lock
from lmrnn.study.cells import canonical_json, read_cell, write_cell
from lmrnn.study.config import validate_config
from lmrnn.study.grid import Cell, cells_of
from lmrnn.study.layout import Layout
from lmrnn.study.old_names import take_over
from lmrnn.training.run import run_cell
from tests.studies import TINY, Study
from tests.study.test_cells import SPEC, result

CELL = Cell(SPEC)


def old_file(cell, results):
    return Layout(results).cell(cell.old_stem)


def old(folder, content=SPEC):
    """A finished cell as version 0.1 left it."""
    path = old_file(CELL, folder)
    write_cell(path, result(spec=content))
    return path


def old_checkpoint(folder, ending, spec=SPEC):
    path = folder / "checkpoints" / f"{CELL.old_stem}.h5{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["spec"] = canonical_json(spec)
    return path


def test_old_files_get_the_new_name_and_keep_their_times(tmp_path):
    before = old(tmp_path).stat().st_mtime_ns
    for ending in ("", ".previous"):
        old_checkpoint(tmp_path, ending)
    log = io.StringIO()
    assert take_over([CELL], tmp_path, log) == 1
    assert "1 cells of an earlier version" in log.getvalue()
    assert CELL.path(tmp_path).stat().st_mtime_ns == before
    assert read_cell(CELL.path(tmp_path), SPEC).spec == SPEC
    checkpoint = CELL.checkpoint(tmp_path)
    left = {str(path) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {str(CELL.path(tmp_path)), str(checkpoint), f"{checkpoint}.previous"}
    assert take_over([CELL], tmp_path, log) == 0


def test_a_file_of_another_cell_with_the_same_old_name_stays(tmp_path):
    path = old(tmp_path, {**SPEC, "seed": 4})
    assert take_over([CELL], tmp_path, io.StringIO()) == 0
    assert path.exists()
    assert not CELL.path(tmp_path).exists()


@pytest.mark.parametrize("damage", ["empty", "noise", "folder", "link"])
def test_what_cannot_be_told_for_the_cell_stays(tmp_path, damage):
    path = old(tmp_path)
    if damage == "link":
        path.rename(tmp_path / "elsewhere.h5")
        path.symlink_to(tmp_path / "elsewhere.h5")
    else:
        path.unlink()
        path.mkdir() if damage == "folder" else path.write_bytes(b"" if damage == "empty" else b"\x89HDF" * 300)
    log = io.StringIO()
    assert take_over([CELL], tmp_path, log) == 0
    assert path.exists()
    assert damage in ("folder", "link") or str(path) in log.getvalue()


def test_nothing_that_stands_at_the_new_name_is_replaced(tmp_path):
    path = old(tmp_path)
    CELL.path(tmp_path).write_text("newer")
    take_over([CELL], tmp_path, io.StringIO())
    assert CELL.path(tmp_path).read_text() == "newer"
    assert path.exists()


@pytest.mark.parametrize("name", ["stem", "old_stem"])
def test_a_cell_at_which_somebody_works_is_left_alone(tmp_path, name):
    path, log = old(tmp_path), io.StringIO()
    with lock(tmp_path / "checkpoints" / f"{getattr(CELL, name)}.lock"):
        assert take_over([CELL], tmp_path, log) == 0
    assert path.exists()
    assert "another process" in log.getvalue()
    assert take_over([CELL], tmp_path, log) == 1


def test_of_many_at_once_one_renames(tmp_path):
    old(tmp_path)
    counts = []
    threads = [
        threading.Thread(target=lambda: counts.append(take_over([CELL], tmp_path, io.StringIO()))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 1
    assert read_cell(CELL.path(tmp_path), SPEC).spec == SPEC


def aged(study):
    """Give a study's cells the names of version 0.1; their times by cell."""
    times = {}
    for cell in cells_of(validate_config(study.config)):
        old_file(cell, study.results).parent.mkdir(parents=True, exist_ok=True)
        cell.path(study.results).rename(old_file(cell, study.results))
        times[cell.stem] = old_file(cell, study.results).stat().st_mtime_ns
    return times


def test_a_finished_study_of_the_old_version_trains_nothing(tmp_path):
    study = Study(tmp_path)
    study.run()
    times = aged(study)
    assert "train_cell" not in study.planned()
    assert study.run() == set()
    assert study.trained() == {f"{stem}.h5": time for stem, time in times.items()}
    assert study.planned() == {}


def test_a_cell_alone_is_taken_over_too(tmp_path):
    cell = cells_of(validate_config(TINY))[0]
    compute, log = validate_config(TINY)["compute"], io.StringIO()
    run_cell(cell, tmp_path, compute, log)
    cell.path(tmp_path).rename(old_file(cell, tmp_path))
    assert run_cell(cell, tmp_path, compute, log) == "completed"
    assert "nothing to train" in log.getvalue()
    assert not old_file(cell, tmp_path).exists()
