"""Which trials a dataset holds: the same ones in every order, size and battery, and none of another split."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmrnn.datasets import Dataset, DatasetSpec, dataset_bytes, generate, generate_dataset
from lmrnn.datasets.generation import BLOCK, GENERATOR_VERSION
from lmrnn.errors import ConfigError, TaskNameError
from lmrnn.tasks import Draws, battery_names, parse, render
from tests.reference_adapter import noise_sd

NAMES = st.sampled_from(battery_names(126))
SEEDS = st.integers(0, 2**40)


def spec(tasks=("go", "multidlydmintr"), n=5, split="train", seed=0, dt=100, definition="corrected"):
    return DatasetSpec(definition, dt, battery_names(tasks), n, split, seed)


def trials(dataset: Dataset, entry: int) -> list[bytes]:
    """Content of the trials of one rule channel."""
    n = dataset.spec.trials_per_task
    return [b"".join(part.tobytes() for part in dataset.trial(i)) for i in range(entry * n, (entry + 1) * n)]


def task_parameters(dataset: Dataset, entry: int) -> dict[str, np.ndarray]:
    n = dataset.spec.trials_per_task
    return {name: values[entry * n : (entry + 1) * n] for name, values in dataset.parameters.items()}


@settings(max_examples=25, deadline=None)
@given(NAMES, SEEDS, st.integers(1, 2 * BLOCK + 50), st.integers(1, 2 * BLOCK + 50))
def test_smaller_set_is_the_beginning_of_a_larger_one(name, seed, n, more):
    small, large = (generate(spec([name], size, seed=seed)) for size in (n, n + more))
    steps = len(small.labels)
    np.testing.assert_array_equal(small.observations, large.observations[:steps])
    np.testing.assert_array_equal(small.labels, large.labels[:steps])
    for key, values in small.parameters.items():
        np.testing.assert_array_equal(values, large.parameters[key][:n])


@settings(max_examples=10, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=4, unique=True), SEEDS, st.integers(1, 12))
def test_a_task_has_the_same_trials_in_every_battery(names, seed, n):
    chosen, whole = generate(spec(names, n, seed=seed)), generate(spec(126, n, seed=seed))
    for entry, name in enumerate(names):
        assert trials(chosen, entry) == trials(whole, battery_names(126).index(name))


def test_battery_20_is_the_beginning_of_126():
    small, large = generate(spec(20, 10)), generate(spec(126, 10))
    assert large.observations[: len(small.labels)].tobytes() == small.observations.tobytes()


def test_repeated_tasks_of_battery_132_have_trials_of_their_own():
    whole, plain = generate(spec(132, 40)), generate(spec(126, 40))
    assert whole.observations[: len(plain.labels)].tobytes() == plain.observations.tobytes()
    for repeat in range(126, 132):
        first = battery_names(126).index(battery_names(132)[repeat])
        same = task_parameters(whole, first)["response"] == task_parameters(whole, repeat)["response"]
        assert 0 <= same.mean() < 0.4


@settings(max_examples=5, deadline=None)
@given(SEEDS)
def test_no_noisy_trial_is_shared_between_splits(seed):
    names = [name for name in battery_names(126) if parse(name).family not in ("reach", "rt")]
    splits = [generate(spec(names, 20, split, seed)) for split in ("train", "validation", "test")]
    hashes = [{hashlib.sha256(t).digest() for entry in range(len(names)) for t in trials(d, entry)} for d in splits]
    assert [len(found) for found in hashes] == [20 * len(names)] * 3
    assert len(set.union(*hashes)) == 60 * len(names)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([name for name in battery_names(126) if parse(name).family in ("reach", "rt")]), SEEDS)
def test_trials_without_noise_are_drawn_apart_in_each_split(name, seed):
    # at most 384 different ones exist, so that equal trials come up in every split: by chance alone
    drawn = [generate(spec([name], 64, split, seed)).parameters for split in ("train", "validation", "test")]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert (drawn[first]["response"] == drawn[second]["response"]).mean() < 0.4


def test_data_seeds_share_nothing():
    first, second = (generate(spec(["multidm"], 100, seed=seed)) for seed in (0, 1))
    assert not set(trials(first, 0)) & set(trials(second, 0))


def test_order_of_tasks_is_the_order_of_rule_channels():
    forth, back = generate(spec(["dms", "go"], 7)), generate(spec(["go", "dms"], 7))
    assert forth.tasks == ("dms", "go")
    assert forth.task.tolist() == [0] * 7 + [1] * 7
    assert trials(forth, 0) == trials(back, 1)


@settings(max_examples=15, deadline=None)
@given(NAMES, SEEDS, st.sampled_from(["corrected", "released"]), st.sampled_from([100, 50, 20]))
def test_columns_describe_the_trials(name, seed, definition, dt):
    dataset = generate(spec([name], 6, seed=seed, dt=dt, definition=definition))
    task = parse(name)
    present = {key: v for key, v in dataset.parameters.items() if not (v == -1).all() and key != "durations"}
    periods = len(dataset.periods(0))
    again = render(task, Draws(dataset.parameters["durations"][:, :periods].astype(int), present), dt, definition)
    np.testing.assert_array_equal(again.labels, dataset.labels)
    np.testing.assert_array_equal(again.start, dataset.start)
    np.testing.assert_array_equal(again.length, dataset.length)
    np.testing.assert_array_equal(again.decision, dataset.decision)
    quiet = noise_sd(again) == 0
    np.testing.assert_array_equal(again.observations[quiet], dataset.observations[quiet])
    assert dataset.periods(3) == again.periods(3)


def test_types_and_shapes():
    dataset = generate(spec(20, 3))
    steps = int(dataset.length.sum())
    kinds = {name: getattr(dataset, name).dtype.name for name in ("observations", "labels", "start", "length", "task")}
    assert kinds == {"observations": "float32", "labels": "int8", "start": "int64", "length": "int32", "task": "int16"}
    assert dataset.observations.shape == (steps, 33)
    assert dataset.n_trials == 60
    assert dataset.decision.dtype == np.int32
    assert all(len(values) == 60 for values in dataset.parameters.values())


def test_trials_stay_what_they_are():
    # a change here makes other trials of the same spec: raise GENERATOR_VERSION together with this digest
    dataset = generate(spec(132, 20, seed=3))
    digest = hashlib.sha256(dataset.labels.tobytes() + dataset.parameters["durations"].tobytes()).hexdigest()
    assert (GENERATOR_VERSION, digest[:16]) == (1, "cdefdbc0a12082c4")


@pytest.mark.parametrize(("tasks", "n"), [(20, 1000), (82, 50), (["dmsintr"], 3000)])
def test_size_is_known_beforehand(tasks, n, tmp_path):
    generate_dataset(spec(tasks, n), tmp_path / "set.h5")
    assert dataset_bytes(spec(tasks, n)) == pytest.approx((tmp_path / "set.h5").stat().st_size, rel=0.03)


@pytest.mark.parametrize("n", [0, -5, 2.5, True, "10"])
def test_number_of_trials_out_of_range(n):
    with pytest.raises(ConfigError, match=r"trials_per_task: .* is not an integer >= 1"):
        DatasetSpec("corrected", 100, ("go",), n, "train", 0)


@pytest.mark.parametrize("seed", [-1, 0.5, None])
def test_data_seed_out_of_range(seed):
    with pytest.raises(ConfigError, match=r"data_seed: .* is not an integer >= 0"):
        DatasetSpec("corrected", 100, ("go",), 1, "train", seed)


def test_other_bad_specs():
    with pytest.raises(ConfigError, match="split: 'training' is none of train, validation, test"):
        spec(split="training")
    with pytest.raises(ConfigError, match="30 ms does not divide 100"):
        spec(dt=30)
    with pytest.raises(TaskNameError, match="nearest names: dlygo"):
        DatasetSpec("corrected", 100, ("dlygoo",), 1, "train", 0)


def test_spec_survives_json():
    original = spec(132, 9, "test", 4, 20, "released")
    assert DatasetSpec.from_json(original.to_json()) == original
    with pytest.raises(ConfigError, match="not the spec of a dataset"):
        DatasetSpec.from_json('{"dt": 100}')


def test_alias_and_canonical_name_make_one_spec(tmp_path):
    first, second = spec(["dmsintseq"]), spec(["dmsintrseqr"])
    assert first == second
    assert first.path(tmp_path) == second.path(tmp_path)


def test_paths_tell_specs_apart(tmp_path):
    specs = [
        spec(tasks, n, split, seed, dt, definition)
        for tasks in (20, 132, "seq60", ["go", "dms"], ["dms", "go"])
        for n in (5, 6)
        for split in ("train", "validation", "test")
        for seed in (0, 1)
        for dt in (100, 20)
        for definition in ("corrected", "released")
    ]
    assert len({one.path(tmp_path) for one in specs}) == len(specs)
    assert spec(20, 5).path(tmp_path) == tmp_path / "corrected-dt100/tasks20/train-trials5-seed0.h5"


def test_a_dataset_is_a_sequence_of_its_trials():
    made = generate(DatasetSpec("corrected", 100, ("go", "dms"), 3, "train", 0))
    trials = list(made)
    assert len(made) == len(trials) == 6
    assert [(trial.task, trial.rule) for trial in trials] == [("go", 0)] * 3 + [("dms", 1)] * 3
    assert np.array_equal(np.concatenate([trial.observations for trial in trials]), made.observations)
    assert all((trial.labels[: trial.decision] == 0).all() for trial in trials)
    assert made[-1].decision == made.decision[5]
    with pytest.raises(IndexError):
        made[6]
