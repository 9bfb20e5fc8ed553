"""Files of datasets: the same bytes from any process, whole or not at all, and refused when they are not good."""

import multiprocessing
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest

from lmrnn.datasets import DatasetSpec, generate, generate_dataset, load_dataset
from lmrnn.datasets import files as datasets
from lmrnn.datasets.files import DATASET_SCHEMA
from lmrnn.errors import DamagedFileError, UnreadableFileError
from lmrnn.files.storage import lock, temporaries, write_h5
from lmrnn.tasks import battery_names

SPECS = [DatasetSpec("corrected", 100, battery_names(20), n, split, 0) for n in (3, 600) for split in ("train", "test")]
SPEC = SPECS[0]
ROOT = Path(__file__).parents[2]

# the process dies at its k-th block, in the middle of writing the file
DYING = """
import os, signal, sys
from lmrnn.datasets import generation
from lmrnn.datasets import DatasetSpec, generate_dataset

def dying(trials, rng, add_noise=generation.add_noise, left=[int(sys.argv[3])]):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return add_noise(trials, rng)

generation.add_noise = dying
generate_dataset(DatasetSpec.from_json(sys.argv[1]), sys.argv[2])
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished file of `SPEC`; tests that change it work on a copy."""
    path = tmp_path_factory.mktemp("finished") / "set.h5"
    generate_dataset(SPEC, path)
    return path


@pytest.fixture
def path(finished, tmp_path):
    return shutil.copy(finished, tmp_path / "set.h5")


def test_file_gives_back_what_was_generated(finished):
    read, made = load_dataset(finished, SPEC), generate(SPEC)
    assert read.spec == SPEC
    for name in ("observations", "labels", "start", "length", "task", "decision"):
        values = getattr(read, name)
        assert values.dtype == getattr(made, name).dtype
        np.testing.assert_array_equal(values, getattr(made, name))
    for name, values in made.parameters.items():
        np.testing.assert_array_equal(read.parameters[name], values)


def test_attributes_say_what_it_is(finished):
    with h5py.File(finished) as file:
        assert DatasetSpec.from_json(file.attrs["spec"]) == SPEC
        assert file.attrs["schema_version"] == DATASET_SCHEMA
        assert file.attrs["generator_version"] == 1


def test_same_bytes_in_any_order_and_number_of_processes(tmp_path):
    for spec in SPECS:
        generate_dataset(spec, spec.path(tmp_path / "alone"))
    context = multiprocessing.get_context("spawn")
    jobs = [(spec, spec.path(tmp_path / "together")) for spec in reversed(SPECS)]
    with context.Pool(2) as pool:
        pool.starmap(generate_dataset, jobs, chunksize=1)
    for spec in SPECS:
        assert spec.path(tmp_path / "together").read_bytes() == spec.path(tmp_path / "alone").read_bytes()


def test_two_processes_at_one_file(tmp_path, finished):
    target = tmp_path / "set.h5"
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.starmap(generate_dataset, [(SPEC, target)] * 4, chunksize=1)
    assert target.read_bytes() == finished.read_bytes()
    assert not temporaries(target)


def test_finished_file_is_left_alone(path):
    before = path.stat()
    generate_dataset(SPEC, path)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_waits_for_another_process_at_the_same_file(tmp_path, finished):
    target = tmp_path / "set.h5"
    waiting = threading.Thread(target=generate_dataset, args=(SPEC, target))
    with lock(tmp_path / ".locks/set.h5.lock"):
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        shutil.copy(finished, target)
        before = target.stat().st_ino
    waiting.join()
    assert target.stat().st_ino == before


@pytest.mark.parametrize("blocks", [0, 7, 19])
def test_killed_while_writing(tmp_path, finished, blocks):
    target = tmp_path / "set.h5"
    command = [sys.executable, "-c", DYING, SPEC.to_json(), str(target), str(blocks)]
    done = subprocess.run(command, cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not target.exists()
    assert len(temporaries(target)) == 1
    generate_dataset(SPEC, target)
    assert target.read_bytes() == finished.read_bytes()
    assert not temporaries(target)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".locks", "set.h5"]


def test_missing_file(tmp_path):
    with pytest.raises(DamagedFileError, match="does not exist"):
        load_dataset(tmp_path / "none.h5")


@pytest.mark.parametrize("kept", [0, 100, 600, -1])
def test_truncated_file(path, kept):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DamagedFileError, match=r"set\.h5: .*Delete it and run the same command again"):
        load_dataset(path, SPEC)


@pytest.mark.parametrize("position", [0, 30, 512, 5000, -1])
def test_one_changed_byte(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedFileError):
        load_dataset(path, SPEC)


def test_foreign_hdf5_file(tmp_path):
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["observations"] = np.zeros(3)
    with pytest.raises(DamagedFileError, match="not a dataset file of lmrnn"):
        load_dataset(tmp_path / "foreign.h5")


def test_file_of_another_kind(tmp_path):
    write_h5(tmp_path / "cell.h5", "cell", 1, lambda file: None)
    with pytest.raises(DamagedFileError, match="a cell file where a dataset file was expected"):
        load_dataset(tmp_path / "cell.h5")


def test_another_schema_version(tmp_path):
    write_h5(tmp_path / "set.h5", "dataset", DATASET_SCHEMA + 1, lambda file: None)
    with pytest.raises(UnreadableFileError, match=f"schema version {DATASET_SCHEMA + 1}, but"):
        load_dataset(tmp_path / "set.h5")


def rewritten(path, change):
    """The dataset with its content changed and a right checksum."""

    def fill(file):
        with h5py.File(path) as source:
            for name in source:
                source.copy(name, file)
            file.attrs.update(source.attrs)
        change(file)

    target = path.with_name("changed.h5")
    write_h5(target, "dataset", DATASET_SCHEMA, fill)
    return target


def test_another_generator_version(path):
    changed = rewritten(path, lambda file: file.attrs.modify("generator_version", 99))
    with pytest.raises(DamagedFileError, match="generator version 99, this version of lmrnn has 1"):
        load_dataset(changed, SPEC)


def test_file_without_all_parts(path):
    with pytest.raises(DamagedFileError, match="lacks a part"):
        load_dataset(rewritten(path, lambda file: file.pop("decision")))
    with pytest.raises(DamagedFileError, match="its spec cannot be read"):
        load_dataset(rewritten(path, lambda file: file.attrs.pop("spec")))


def test_other_dataset_than_wanted(path):
    with pytest.raises(DamagedFileError, match=r'another dataset: .*split is "train", not "test"'):
        load_dataset(path, SPECS[1])
    with pytest.raises(DamagedFileError, match="trials_per_task is 3, not 600"):
        load_dataset(path, SPECS[2])


def test_generating_never_overwrites_another_dataset(path):
    before = path.read_bytes()
    with pytest.raises(DamagedFileError, match="another dataset"):
        generate_dataset(SPECS[1], path)
    assert path.read_bytes() == before


def test_generating_never_overwrites_a_foreign_file(tmp_path):
    (tmp_path / "notes.h5").write_text("mine")
    with pytest.raises(DamagedFileError, match="a file of another kind"):
        generate_dataset(SPEC, tmp_path / "notes.h5")
    assert (tmp_path / "notes.h5").read_text() == "mine"


def test_generating_replaces_a_damaged_dataset(path, finished):
    path.write_bytes(path.read_bytes()[:-1000])
    generate_dataset(SPEC, path)
    assert path.read_bytes() == finished.read_bytes()


def test_generating_replaces_trials_of_an_older_generator(path, finished):
    changed = rewritten(path, lambda file: file.attrs.modify("generator_version", 0))
    generate_dataset(SPEC, changed)
    assert changed.read_bytes() == finished.read_bytes()


def test_failed_generation_leaves_nothing(tmp_path, monkeypatch):
    def failing(spec, observations, labels):
        observations[:5] = 1
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(datasets, "fill_rows", failing)
    with pytest.raises(Exception, match="no space left on the disk while writing"):
        generate_dataset(SPEC, tmp_path / "set.h5")
    assert [entry.name for entry in tmp_path.iterdir()] == [".locks"]
