"""From trials to batches: nothing lost, nothing doubled, the order a matter of the seed alone."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmrnn.datasets.batches import PaddedBatches, Permutations, StreamBatches, TrialTensors, padded_batch
from tests.small_data import dataset


def fingerprints(batch):
    """What identifies the trials of a padded batch, in their order."""
    return [batch.observations[: batch.lengths[b], b].numpy().tobytes() for b in range(len(batch.lengths))]


def trial_of(data, index):
    rows = slice(data.start[index], data.start[index] + data.length[index])
    return data.observations[rows], data.labels[rows]


def test_a_padded_batch_holds_the_trials_it_was_asked_for():
    data = dataset()
    index = np.array([3, 39, 0, 3])
    batch = padded_batch(TrialTensors.of(data), index)
    assert batch.observations.shape == (data.length[index].max(), 4, 33)
    assert batch.observations.dtype == torch.float32
    assert batch.labels.dtype == batch.rule.dtype == batch.lengths.dtype == batch.decision.dtype == torch.int64
    for b, trial in enumerate(index):
        observations, labels = trial_of(data, trial)
        length = data.length[trial]
        assert batch.lengths[b] == length
        assert batch.decision[b] == data.decision[trial]
        assert np.array_equal(batch.observations[:length, b].numpy(), observations)
        assert np.array_equal(batch.labels[:length, b].numpy(), labels)
        assert torch.all(batch.observations[length:, b] == 0)
        assert torch.all(batch.labels[length:, b] == -1)
        assert torch.all(batch.rule[:, b] == int(data.task[trial]))


def test_a_dataset_is_not_changed_by_training_on_it():
    data = dataset()
    before = data.observations.copy(), data.labels.copy()
    batches = PaddedBatches(TrialTensors.of(data), 8, 0)
    for _ in range(10):
        batches.next().observations.add_(1)
    assert np.array_equal(data.observations, before[0])
    assert np.array_equal(data.labels, before[1])


def test_read_only_arrays_are_taken():
    data = dataset()
    data.observations.flags.writeable = False
    assert PaddedBatches(TrialTensors.of(data), 8, 0).next().observations.shape[1] == 8


@given(n=st.integers(1, 30), sizes=st.lists(st.integers(1, 70), min_size=1, max_size=12), seed=st.integers(0, 2**32))
def test_every_epoch_has_each_thing_once_whatever_the_batch_size(n, sizes, seed):
    order = Permutations(n, seed, "order")
    drawn = np.concatenate([order.take(size) for size in sizes])
    assert len(drawn) == sum(sizes) == order.drawn
    for begin in range(0, len(drawn) - n + 1, n):
        assert sorted(drawn[begin : begin + n]) == list(range(n))
    again = Permutations(n, seed, "order")
    assert np.array_equal(again.take(sum(sizes)), drawn), "the order does not depend on the size of batches"


@given(n=st.integers(1, 20), before=st.integers(0, 60))
def test_an_order_goes_on_from_any_position(n, before):
    order, resumed = Permutations(n, 1, "order"), Permutations(n, 1, "order")
    if before:
        order.take(before)
    resumed.restore(before)
    assert np.array_equal(order.take(25), resumed.take(25))


def test_epochs_and_seeds_differ():
    order = Permutations(50, 0, "order")
    first, second = order.take(50), order.take(50)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, Permutations(50, 1, "order").take(50))


def test_padded_batches_lose_no_trial_at_the_end_of_an_epoch():
    data = dataset(trials_per_task=10)
    batches = PaddedBatches(TrialTensors.of(data), 8, 0)
    seen = Counter(print_ for _ in range(5) for print_ in fingerprints(batches.next()))
    assert len(seen) == 20
    assert set(seen.values()) == {2}
    assert batches.trials_seen == 40


def make(layout, trials, seed=0):
    return PaddedBatches(trials, 8, seed) if layout == "padded" else StreamBatches(trials, 3, 20, seed)


@pytest.mark.parametrize("layout", ["padded", "stream"])
def test_batches_go_on_from_any_position(layout):
    trials = TrialTensors.of(dataset(n_tasks=3))
    for before in (0, 1, 5, 23):
        batches, resumed = make(layout, trials), make(layout, trials)
        for _ in range(before):
            batches.next()
        resumed.restore(json.loads(json.dumps(batches.state())))
        for _ in range(4):
            one, other = batches.next(), resumed.next()
            for name, value in vars(one).items():  # without weights of periods there are none
                same = getattr(other, name)
                assert value is same is None or torch.equal(value, same)
        assert batches.trials_seen == resumed.trials_seen


@pytest.mark.parametrize("layout", ["padded", "stream"])
def test_another_seed_is_another_order(layout):
    trials = TrialTensors.of(dataset())
    assert not torch.equal(make(layout, trials, 0).next().labels, make(layout, trials, 1).next().labels)


def pieces(data, batch, column):
    """The trials that one sequence is made of: (trial, cut?) by comparison with the dataset."""
    found, t = [], 0
    while t < len(batch.labels):
        rest = batch.observations[t:, column].numpy()
        matches = [
            k
            for k in range(len(data.start))
            if np.array_equal(trial_of(data, k)[0][: len(rest)], rest[: data.length[k]])
        ]
        assert len(matches) == 1
        found.append(matches[0])
        t += int(data.length[matches[0]])
    return found


def test_a_stream_is_whole_trials_end_to_end_the_last_one_cut():
    data = dataset(n_tasks=3)
    batches = StreamBatches(TrialTensors.of(data), 4, 25, 0)
    begun = 0
    for _ in range(5):
        batch = batches.next()
        assert batch.observations.shape == (25, 4, 33)
        assert torch.all(batch.labels >= 0), "no padding"
        assert torch.all(batch.lengths == 25)
        for column in range(4):
            trials = pieces(data, batch, column)
            begun += len(trials)
            tasks = np.repeat(data.task[trials], data.length[trials])[:25]
            labels = np.concatenate([trial_of(data, k)[1] for k in trials])[:25]
            assert np.array_equal(batch.rule[:, column].numpy(), tasks)
            assert np.array_equal(batch.labels[:, column].numpy(), labels)
    assert batches.trials_seen == begun


def test_a_stream_never_has_the_same_task_twice_in_a_row_and_all_tasks_equally_often():
    data = dataset(n_tasks=4)
    batches = StreamBatches(TrialTensors.of(data), 2, 400, 0)
    tasks = [data.task[pieces(data, batches.next(), column)] for _ in range(3) for column in range(2)]
    assert all(np.all(np.diff(sequence) != 0) for sequence in tasks)
    counts = np.bincount(np.concatenate(tasks))
    assert counts.min() > 0.7 * counts.mean()


def test_a_stream_takes_the_trials_of_a_task_in_turn():
    data = dataset(n_tasks=2, trials_per_task=5)
    batches = StreamBatches(TrialTensors.of(data), 1, 300, 0)
    trials = np.array(pieces(data, batches.next(), 0))
    for task in range(2):
        own = trials[data.task[trials] == task]
        assert len(own) > 15
        for begin in range(0, len(own) - 4, 5):
            assert len(set(own[begin : begin + 5])) == 5


def test_a_stream_of_one_task_repeats_it():
    batches = StreamBatches(TrialTensors.of(dataset(n_tasks=1)), 2, 30, 0)
    assert torch.all(batches.next().rule == 0)
