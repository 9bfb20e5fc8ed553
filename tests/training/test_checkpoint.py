"""An interrupted training goes on as if nothing had happened."""

import os
import signal
import threading

import numpy as np
import pytest

from lmrnn.errors import Interrupted
from lmrnn.files.storage import temporaries
from lmrnn.networks import kernel
from lmrnn.training import checkpoint as checkpoints
from lmrnn.training import train as loop
from lmrnn.training.interruption import STOP_SIGNALS, StopRequest
from lmrnn.training.state import MISFIT, Compute, Snapshot, Training
from lmrnn.training.train import train
from tests.small_data import cell_spec, datasets
from tests.training.test_train import assert_same

STEPS = 12
SPECS = {
    "padded": cell_spec(),
    "stream": cell_spec(layout="stream"),
    "scheduled": cell_spec(
        recurrent_rate="in_degree", schedule="warmup_cosine", warmup_steps=5, evaluate_every="log", evaluations=4
    ),
    "noisy": cell_spec({"kind": "random", "density": 0.3}, {"recurrent_noise": 0.1, "leak": 0.5}),
}


@pytest.fixture(scope="module")
def data():
    return datasets()


@pytest.fixture(scope="module")
def undisturbed(data):
    return {name: train(spec, *data, log=lambda line: None) for name, spec in SPECS.items()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoints" / "cell.h5"


def stop_at(monkeypatch, step, number=signal.SIGTERM):
    """Send this process a signal while a step is under way."""
    take_step = loop.take_step

    def interrupted(self):
        take_step(self)
        if self.step == step:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(loop, "take_step", interrupted)


def interrupt(spec, data, path, step, number=signal.SIGTERM, seconds=60.0):
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, step, number)
        with pytest.raises(Interrupted, match=f"{signal.Signals(number).name} at step {step} of {STEPS}.*resumable"):
            train(spec, *data, path, lambda line: None, Compute(checkpoint_seconds=seconds))


@pytest.mark.parametrize("step", [1, 3, 4, 11])
@pytest.mark.parametrize("name", SPECS)
def test_a_resumed_training_equals_an_undisturbed_one(name, step, data, undisturbed, path):
    interrupt(SPECS[name], data, path, step)
    lines = []
    result = train(SPECS[name], *data, path, lines.append)
    assert lines[0].startswith(f"resumed at step {step} (restart 1)")
    assert_same(result, undisturbed[name])
    assert result.provenance["restarts"] == 1


def test_a_training_interrupted_at_every_step_equals_an_undisturbed_one(data, undisturbed, path):
    for step in range(1, STEPS):
        interrupt(SPECS["padded"], data, path, step)
    result = train(SPECS["padded"], *data, path, lambda line: None)
    assert_same(result, undisturbed["padded"])
    assert result.provenance["restarts"] == STEPS - 1


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_every_stop_signal_saves_and_leaves(number, data, undisturbed, path):
    interrupt(SPECS["padded"], data, path, 5, number)
    assert_same(train(SPECS["padded"], *data, path, lambda line: None), undisturbed["padded"])


def test_a_signal_during_an_evaluation_is_answered_at_the_next_step_boundary(data, undisturbed, path, monkeypatch):
    evaluate = loop.validate

    def interrupted(self):
        os.kill(os.getpid(), signal.SIGUSR2)
        evaluate(self)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "validate", interrupted)
        with pytest.raises(Interrupted, match="at step 0"):
            train(SPECS["padded"], *data, path, lambda line: None)
    assert_same(train(SPECS["padded"], *data, path, lambda line: None), undisturbed["padded"])


def test_a_signal_after_the_last_step_does_not_hold_up_the_result(data, undisturbed, path, monkeypatch):
    stop_at(monkeypatch, STEPS)
    assert_same(train(SPECS["padded"], *data, path, lambda line: None), undisturbed["padded"])


def test_seconds_add_up_over_restarts(data, path):
    interrupt(SPECS["padded"], data, path, 6)
    first = checkpoints.read(path, SPECS["padded"]).values["watch"]["wall"]
    history = train(SPECS["padded"], *data, path, lambda line: None).history
    at_evaluation = dict(zip(history["step"].tolist(), history["training_seconds"].tolist(), strict=True))
    assert at_evaluation[4] < first["training"] < at_evaluation[8]


def test_a_checkpoint_is_saved_at_the_start_and_then_at_the_interval(data, path, monkeypatch):
    saved = []
    monkeypatch.setattr(checkpoints, "save", lambda path, spec, snapshot: saved.append(snapshot.values["step"]))
    train(SPECS["padded"], *data, path, lambda line: None)
    assert saved == [0]
    train(SPECS["padded"], *data, path, lambda line: None, Compute(checkpoint_seconds=1e-9))
    assert saved == [0, *range(STEPS)]


def test_saving_does_not_change_the_training(data, undisturbed, path):
    result = train(SPECS["noisy"], *data, path, lambda line: None, Compute(checkpoint_seconds=1e-9))
    assert_same(result, undisturbed["noisy"])
    assert result.provenance["checkpoint_seconds"] > 0


def damage(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def two_checkpoints(data, path):
    """A training that left checkpoints of step 6 and, before it, step 5."""
    interrupt(SPECS["padded"], data, path, 6, seconds=1e-9)
    assert checkpoints.previous(path).exists()


def test_a_damaged_checkpoint_falls_back_to_the_one_before(data, undisturbed, path):
    two_checkpoints(data, path)
    damage(path)
    lines = []
    result = train(SPECS["padded"], *data, path, lines.append)
    assert "warning" in lines[0]
    assert str(path) in lines[0]
    assert "checksum" in lines[0]
    assert lines[1].startswith("resumed at step 5")
    assert_same(result, undisturbed["padded"])


def test_two_damaged_checkpoints_fall_back_to_the_start(data, undisturbed, path):
    two_checkpoints(data, path)
    damage(path)
    checkpoints.previous(path).write_bytes(b"something else")
    lines = []
    result = train(SPECS["padded"], *data, path, lines.append)
    assert ["warning" in line for line in lines[:2]] == [True, True]
    assert lines[2].startswith("step 0/12")
    assert_same(result, undisturbed["padded"])


def test_a_checkpoint_of_another_cell_is_refused(data, undisturbed, path):
    other = cell_spec(learning_rate=0.5)
    interrupt(other, data, path, 6)
    lines = []
    result = train(SPECS["padded"], *data, path, lines.append)
    assert "another cell" in lines[0]
    assert_same(result, undisturbed["padded"])


def misfits(snapshot):
    """A whole and well-formed checkpoint with one part missing or wrong at a time."""
    for part, array in snapshot.arrays.items():
        yield part, Snapshot(snapshot.values, {k: v for k, v in snapshot.arrays.items() if k != part})
        yield part, Snapshot(snapshot.values, {**snapshot.arrays, part: np.atleast_1d([array, array])})
    for name, value in snapshot.values.items():
        if name == "kernel_variant":  # any text, or none at all: version 0.1 did not write it
            yield name, Snapshot({**snapshot.values, name: 7}, snapshot.arrays)
            continue
        yield name, Snapshot({k: v for k, v in snapshot.values.items() if k != name}, snapshot.arrays)
        for wrong in (7 if isinstance(value, str) else "words", None, [value]):
            yield name, Snapshot({**snapshot.values, name: wrong}, snapshot.arrays)


@pytest.mark.parametrize("name", ["padded", "stream"])
def test_a_checkpoint_that_lacks_a_part_or_has_a_wrong_one_is_not_used(name, data, undisturbed, path):
    spec = SPECS[name]
    interrupt(spec, data, path, 6)
    snapshot = checkpoints.read(path, spec)
    cases = list(misfits(snapshot))
    assert len(cases) > 60
    for part, misfit in cases:
        try:
            checkpoints.restore(Training(spec, *data[:2], Compute()), misfit)
        except MISFIT:
            continue
        pytest.fail(f"a checkpoint with a wrong {part} was taken")
    checkpoints.remove(path)
    checkpoints.save(path, spec, cases[0][1])
    lines = []
    result = train(spec, *data, path, lines.append)
    assert "does not fit" in lines[0]
    assert_same(result, undisturbed[name])


def test_no_damage_to_a_checkpoint_goes_unnoticed(data, path):
    spec = SPECS["padded"]
    interrupt(spec, data, path, 6)
    whole = path.read_bytes()
    checkpoints.previous(path).unlink()
    rng = np.random.default_rng(0)
    variants = [whole[: int(rng.integers(len(whole)))] for _ in range(60)]
    for _ in range(120):
        damaged = bytearray(whole)
        for place in rng.integers(len(whole), size=int(rng.integers(1, 4))):
            damaged[place] ^= int(rng.integers(1, 256))
        variants.append(bytes(damaged))
    variants += [b"", b"lmrnn", whole + b"x", b"\0" * len(whole), whole.replace(b"checkpoint", b"dataset\0\0\0")]
    for variant in variants:
        path.write_bytes(variant)
        lines = []
        assert checkpoints.usable(path, spec, lines.append) is None
        assert len(lines) == 1
        assert str(path) in lines[0]
        assert not path.exists()


def test_a_failed_write_leaves_the_one_before(data, undisturbed, path, monkeypatch):
    interrupt(SPECS["padded"], data, path, 6)

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("lmrnn.files.storage._sync", fail)
        with pytest.raises(Exception, match="no space left"):
            train(SPECS["padded"], *data, path, lambda line: None)
    lines = []
    result = train(SPECS["padded"], *data, path, lines.append)
    assert lines[0].startswith("resumed at step 6")
    assert_same(result, undisturbed["padded"])


@pytest.mark.parametrize(("variant", "warns"), [("mmx", True), (None, False), (kernel.variant(), False)])
def test_going_on_with_another_instruction_set_is_said(variant, warns, data, path):
    """As for another path; a checkpoint of version 0.1 does not know its own."""
    spec, compute = SPECS["padded"], Compute(path="kernel")
    interrupt(spec, data, path, 6)
    snapshot = checkpoints.read(path, spec)
    assert snapshot.values.pop("kernel_variant") == kernel.variant()
    known = {} if variant is None else {"kernel_variant": variant}
    checkpoints.save(path, spec, Snapshot({**snapshot.values, **known}, snapshot.arrays))
    lines = []
    result = train(spec, *data, path, lines.append, compute)
    assert any("instruction set mmx so far" in line for line in lines) is warns
    assert result.provenance["kernel_variant"] == kernel.variant()


def test_stray_temporary_files_are_cleaned_and_remove_leaves_nothing(data, path):
    two_checkpoints(data, path)
    stray = path.with_name(f".{path.name}.0123abcd.tmp")
    stray.write_bytes(b"half a checkpoint")
    assert temporaries(path) == [stray]
    train(SPECS["padded"], *data, path, lambda line: None)
    assert not stray.exists()
    stray.write_bytes(b"half a checkpoint")
    checkpoints.remove(path)
    checkpoints.remove(path)
    assert list(path.parent.iterdir()) == []


def test_handlers_are_put_back_and_not_touched_without_a_checkpoint(data, path, monkeypatch):
    seen = []
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    take_step = loop.take_step

    def look(self):
        seen.append([signal.getsignal(number) for number in STOP_SIGNALS])
        take_step(self)

    monkeypatch.setattr(loop, "take_step", look)
    train(SPECS["padded"], *data, None, lambda line: None)
    assert seen[0] == before
    train(SPECS["padded"], *data, path, lambda line: None)
    assert all(isinstance(handler, StopRequest) for handler in seen[-1])
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before


def test_a_training_outside_of_the_main_thread_works_without_handlers(data, undisturbed, path):
    results = []
    worker = threading.Thread(
        target=lambda: results.append(train(SPECS["padded"], *data, path, lambda line: None)), daemon=True
    )
    worker.start()
    worker.join(60)
    assert_same(results[0], undisturbed["padded"])
