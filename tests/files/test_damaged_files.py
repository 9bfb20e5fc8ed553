"""Damaged, forged and foreign files: each gets a clear error or a documented fallback, none is taken for a good one."""

import functools
import io
import os
import re
import shutil
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from lmrnn.datasets import generate_dataset, load_dataset
from lmrnn.errors import DamagedFileError, Interrupted, UnreadableFileError
from lmrnn.steps import collect_cells, compute_curves
from lmrnn.study.cells import read_cell
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of
from lmrnn.training import checkpoint as checkpoints
from lmrnn.training.run import ensure_datasets, run_cell
from lmrnn.training.state import Compute, Training
from lmrnn.training.train import train
from tests import fuzzing
from tests.small_data import told_to_stop
from tests.studies import TINY, merged
from tests.training.test_train import assert_same

ADVICE = ("run the same command again", "Choose another path or delete it")
CONFIG = validate_config(merged(TINY, {"compute": {"path": "reference"}}))


@pytest.fixture(autouse=True)
def unsynced(monkeypatch):
    """Hundreds of files that nobody needs after a power cut."""
    monkeypatch.setattr("lmrnn.files.storage._sync", lambda path: None)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A finished cell with its datasets, and a checkpoint from its midst."""
    folder = tmp_path_factory.mktemp("good")
    cell = cells_of(CONFIG)[1]
    path, checkpoint = cell.path(folder), folder / "checkpoint.h5"
    sets = ensure_datasets(cell, folder)
    data = [sets[split] for split in ("train", "validation", "test")]
    with told_to_stop(4), pytest.raises(Interrupted):
        train(cell.spec, *data, checkpoint, lambda line: None, Compute(path="reference"))
    run_cell(cell, folder, CONFIG["compute"], io.StringIO())
    return SimpleNamespace(
        folder=folder,
        cell=cell,
        path=path,
        checkpoint=checkpoint,
        data=data,
        dataset=cell.dataset_path(folder, "train"),
    )


def refusals(read, path, cases):
    """How many variants were refused as they should; whatever else happened is a failure that names the variant."""
    refused, wrong = 0, []
    for name, write in cases:
        path.unlink(missing_ok=True)  # replacing a file costs some file systems a flush
        try:
            write(path)
        except (TypeError, ValueError, OSError) as error:  # HDF5 itself cannot hold this variant
            wrong.append(f"{name}: cannot be made: {error}")
            continue
        try:
            read(path)
            wrong.append(f"{name}: taken for good")
        except DamagedFileError as error:
            refused += 1
            if str(path) not in str(error) or not any(advice in str(error) for advice in ADVICE):
                wrong.append(f"{name}: unclear: {error}")
        except Exception as error:
            wrong.append(f"{name}: {type(error).__name__}: {error}")
    assert not wrong, "\n".join(wrong)
    return refused


def of_bytes(path, seed):
    """Variants of a file's bytes, among them parts of HDF5 under a checksum that is right again."""
    rng = np.random.default_rng(seed)
    for name, damaged in fuzzing.broken_bytes(path.read_bytes(), rng, truncated=40, flipped=60):
        yield name, lambda target, damaged=damaged: target.write_bytes(damaged)


def some(cases):
    """A third of the cases; `make soak` has all of them."""
    return cases if "LMRNN_SOAK_MUTATIONS" in os.environ else cases[::3]


def of_content(path, kind, more=()):
    """Variants of a file's content, written with a checksum that is right."""
    attributes, arrays = fuzzing.content(path)
    for name, a, b in (*fuzzing.variants(attributes, arrays), *more):
        yield name, functools.partial(fuzzing.sign, kind=kind, attributes=a, arrays=b)

    def elsewhere(file):
        del file[first]
        file[first] = h5py.ExternalLink(str(path), first)

    def hollow(file):
        values = file[first]
        del file[first]
        file.create_dataset(first, values.shape, values.dtype, chunks=True)

    first = next(name for name in arrays if arrays[name].ndim)
    for name, change in (("link into another file", elsewhere), ("values never written", hollow)):
        yield name, functools.partial(fuzzing.sign, kind=kind, attributes=attributes, arrays=arrays, change=change)


def out_of_range(path, wrong):
    """Each named array with one value that it cannot have."""
    attributes, arrays = fuzzing.content(path)
    for name, values in wrong.items():
        for value in values:
            yield f"{name} has {value}", attributes, {**arrays, name: fuzzing.with_one(arrays[name], value)}


@pytest.mark.soak
def test_datasets(good, tmp_path):
    spec = good.cell.dataset("train")
    wrong = {
        **dict.fromkeys(("start", "length", "decision"), (-7, 0, 3, 10**6)),
        **{"task": (-1, 99, 0 if spec.n_trials > 16 else 99), "durations": (-2, 0, 999), "labels": (-1, 17, 99)},
        **{"observations": (np.nan, np.inf, -np.inf), "theta1": (-2, 33), "coherence": (np.inf, -1.0)},
    }
    attributes, arrays = fuzzing.content(good.dataset)
    more = [*out_of_range(good.dataset, wrong)]
    more += [(name, changed, arrays) for name, changed in fuzzing.in_json(attributes, "spec")]
    cases = [*of_bytes(good.dataset, 1), *of_content(good.dataset, "dataset", more)]
    # for readers with other tools; the version that counts stands in the header
    cases = [case for case in cases if case[0] != "schema_version missing"]
    assert len(cases) > 400
    read = functools.partial(load_dataset, spec=spec)
    assert refusals(read, tmp_path / "set.h5", some(cases)) == len(some(cases))


@pytest.mark.soak
def test_cells(good, tmp_path):
    measures = ("decision_accuracy", "trial_accuracy", "final_step_accuracy", "fixation_break_rate")
    wrong = {
        **{f"history/{name}": (np.nan, -0.1, 1.1, np.inf) for name in (*measures, "task_decision_accuracy")},
        **{f"test/{name}": (np.nan, -0.1, 1.1, np.inf) for name in (*measures, "always_fixate")},
        **{f"history/{name}": (-1, 0, 10**9) for name in ("step", "trials")},
        **{f"history/{name}": (np.nan, -1.0, 1e9) for name in ("training_seconds", "evaluation_seconds")},
        **{f"weights/{name}": (np.nan, np.inf) for name in ("recurrent", "input", "rule", "bias", "readout")},
        **{"weights/pre": (-1, 25), "weights/post": (-1, 25), "history/loss": (np.nan, np.inf)},
    }
    attributes, arrays = fuzzing.content(good.path)
    tabled = ("training_seconds", "evaluation_seconds", "restarts", "peak_memory_mb")
    more = [*out_of_range(good.path, wrong)]
    more += [(name, changed, arrays) for name, changed in fuzzing.in_json(attributes, "spec")]
    more += [
        (name, changed, arrays)
        for name, changed in fuzzing.in_json(attributes, "provenance")
        if name.removeprefix("provenance: ").split()[0] in tabled
    ]
    more += [
        ("diverged", {**attributes, "status": "diverged "}, arrays),
        ("done", {**attributes, "status": "5"}, arrays),
    ]
    # cells of earlier versions have no tests at the best validation
    content = [case for case in of_content(good.path, "cell", more) if not re.match("test/at_best_.* missing", case[0])]
    cases = [*of_bytes(good.path, 2), *content]
    assert len(cases) > 700
    read = functools.partial(read_cell, spec=good.cell.spec)
    assert refusals(read, tmp_path / "cell.h5", some(cases)) == len(some(cases))


def test_a_damaged_cell_never_enters_a_table_or_a_curve(good, tmp_path):
    shutil.copytree(good.folder / "cells", tmp_path / "cells")
    path, study = good.cell.path(tmp_path), {**CONFIG, "results": str(tmp_path)}
    collect_cells([good.cell], tmp_path, tmp_path / "cells.csv")
    attributes, arrays = fuzzing.content(path)
    damages = [
        lambda: path.write_bytes(path.read_bytes()[:-100]),
        lambda: fuzzing.sign(path, "cell", attributes, fuzzing.without(arrays, "history/loss")),
        lambda: fuzzing.sign(path, "dataset", attributes, arrays),
        lambda: path.write_text("connectivity,tasks\n"),
        path.unlink,
    ]
    for damage in damages:
        damage()
        for use in (
            lambda: collect_cells([good.cell], tmp_path, tmp_path / "new.csv"),
            lambda: compute_curves([good.cell], study, tmp_path / "cells.csv", [tmp_path / "training_speed.csv"]),
        ):
            with pytest.raises(DamagedFileError, match=r"seed0-.*\.h5: .*Delete it and run the same command again"):
                use()
        assert not (tmp_path / "new.csv").exists()
        assert not (tmp_path / "training_speed.csv").exists()


def test_a_damaged_dataset_never_enters_a_training(good, tmp_path):
    shutil.copytree(good.folder / "datasets", tmp_path / "datasets")
    path = good.cell.dataset_path(tmp_path, "train")
    attributes, arrays = fuzzing.content(path)
    fuzzing.sign(path, "dataset", attributes, {**arrays, "labels": fuzzing.with_one(arrays["labels"], 99)})
    with pytest.raises(DamagedFileError, match=r"train-.*\.h5: .*labels .*Delete it and run the same command again"):
        run_cell(good.cell, tmp_path, CONFIG["compute"], io.StringIO())
    assert not good.cell.path(tmp_path).exists()
    path.unlink()
    run_cell(good.cell, tmp_path, CONFIG["compute"], io.StringIO())
    assert_same(read_cell(good.cell.path(tmp_path)), read_cell(good.path))


def test_what_lies_in_the_place_of_a_file_and_cannot_be_read_is_named(good, tmp_path):
    (tmp_path / "folder.h5").mkdir()
    for read in (load_dataset, read_cell):
        with pytest.raises(UnreadableFileError, match=r"folder\.h5: this \w+ file cannot be read"):
            read(tmp_path / "folder.h5")
    with pytest.raises(DamagedFileError, match=r"folder\.h5: .*Move it away"):
        generate_dataset(good.cell.dataset("train"), tmp_path / "folder.h5")


def moments(good):
    """Checkpoints whose values cannot be a moment of this training."""
    attributes, arrays = fuzzing.content(good.checkpoint)
    wrong = {
        "history/step": (-1, 99), "history/trials": (-1, 10**9), "history/decision_accuracy": (np.nan, 2.0),
        "history/training_seconds": (np.nan, -1.0), "adam/recurrent/steps": (0, 99),
    }  # fmt: skip
    wrong = {name: values for name, values in wrong.items() if name in arrays}
    yield from out_of_range(good.checkpoint, wrong)
    yield from ((name, changed, arrays) for name, changed in fuzzing.in_json(attributes, "spec"))
    for name, changed in fuzzing.in_json(attributes, "values"):
        free = ("started", "peak_memory_mb", "path", "watch.", "values: restarts", "loss_sum = -1", "loss_sum = 1000")
        free += ("kernel_variant",)  # any text, and none in version 0.1
        if not any(part in name for part in free):
            yield name, changed, arrays


def fate(good, path):
    """What becomes of a checkpoint: one line of the log if it is refused on reading, an exception if on restoring."""
    lines = []
    snapshot = checkpoints.usable(path, good.cell.spec, lines.append)
    if snapshot is None:
        return lines[0]
    training = Training(good.cell.spec, *good.data[:2], Compute(path="reference"))
    with pytest.raises((AttributeError, IndexError, KeyError, TypeError, ValueError, RuntimeError)):
        checkpoints.restore(training, snapshot)
    return "warning: checkpoint not used"


@pytest.mark.soak
def test_checkpoints(good, tmp_path):
    """Each is refused, with a line in the log; see the next test for what the training does then."""
    path = tmp_path / "checkpoint.h5"
    cases = [*of_bytes(good.checkpoint, 3), *of_content(good.checkpoint, "checkpoint", moments(good))]
    assert len(cases) > 500
    wrong = []
    for name, write in some(cases):
        checkpoints.remove(path)
        write(path)
        try:
            if not fate(good, path).startswith("warning: checkpoint not used"):
                wrong.append(f"{name}: unclear")
        except (Exception, pytest.fail.Exception) as error:
            wrong.append(f"{name}: {type(error).__name__}: {error}")
    assert not wrong, "\n".join(wrong)


def test_a_training_that_refuses_its_checkpoint_starts_over_and_ends_the_same(good, tmp_path):
    undisturbed, path = read_cell(good.path), tmp_path / "checkpoint.h5"
    cases = [*of_bytes(good.checkpoint, 4), *of_content(good.checkpoint, "checkpoint", moments(good))]
    rng = np.random.default_rng(5)
    for index in rng.choice(len(cases), 40, replace=False):
        name, write = cases[index]
        checkpoints.remove(path)
        write(path)
        lines = []
        result = train(good.cell.spec, *good.data, path, lines.append, Compute(path="reference"))
        assert lines[0].startswith("warning: checkpoint not used"), name
        assert_same(result, undisturbed)
