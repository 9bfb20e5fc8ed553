"""Tasks as gymnasium environments, and datasets as torch's."""

import warnings

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from lmrnn.datasets import DatasetSpec, generate
from lmrnn.datasets.batches import TrialTensors, padded_batch
from lmrnn.science.data import TrialDataset, collate
from lmrnn.science.environment import TaskEnv
from lmrnn.tasks import battery_names

TASKS = battery_names(126)


def test_the_checker_of_gymnasium_passes_on_every_task_of_the_battery():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in TASKS:
            check_env(gymnasium.make(f"lmrnn/{name}-v0").unwrapped, skip_render_check=True)


@pytest.mark.parametrize("options", [{"dt": 20}, {"definition": "released"}, {"noise": False}, {"abort": True}])
def test_the_checker_passes_whatever_the_options(options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make("lmrnn/dlydm1intrseql-v0", **options).unwrapped, skip_render_check=True)


def play(env, answer, trials, seed=0):
    """Rewards of each trial and the performance told at its end."""
    env.reset(seed=seed)
    rewards, performances, total = [], [], 0.0
    while len(rewards) < trials:
        _, reward, terminated, truncated, info = env.step(answer(env))
        assert not truncated
        total += reward
        if info["new_trial"]:
            rewards.append(total)
            performances.append(info["performance"])
            total = 0.0
        if terminated:
            break
    return rewards, performances


@pytest.mark.parametrize("task", ["dm1", "dlygointrseql", "dnms"])
def test_who_answers_right_earns_one_in_each_trial_and_who_always_breaks_fixation_pays(task):
    env = TaskEnv(task)
    rewards, performances = play(env, lambda env: env.gt[env.t_ind], 30)
    np.testing.assert_allclose(rewards, 1)
    assert performances == [1.0] * 30
    steps = []

    def breaks(env):
        steps.append(env.t_ind < env.decision)
        return 1 if env.t_ind < env.decision else 17

    rewards, performances = play(env, breaks, 10)
    np.testing.assert_allclose(sum(rewards), -0.1 * sum(steps))
    assert performances == [0.0] * 10


def test_an_action_answers_the_observation_that_came_last():
    env = TaskEnv("dm1")
    observation, info = env.reset(seed=1)
    first = {**info["trial"]}
    for _ in range(60):
        now, right, deciding = env.ob[env.t_ind], env.gt[env.t_ind], env.t_ind >= env.decision
        assert np.array_equal(observation, now)
        assert (observation[0] == 0) == deciding
        observation, reward, _, _, info = env.step(int(right))
        assert info["gt"] == right
        assert reward == (1 / 2 if deciding else 0)  # a decision of 200 ms
    assert first["task"] == "dm1"
    assert first["stimulus_ms"] == 500
    assert env.num_tr > 2


def test_a_broken_fixation_ends_the_trial_where_that_is_asked_for():
    env = TaskEnv("go", abort=True)
    env.reset(seed=0)
    _, reward, _, _, info = env.step(3)
    assert (reward, info["new_trial"], info["performance"]) == (-0.1, True, 0.0)


def test_episodes_end_after_as_many_trials_as_asked_for():
    env = TaskEnv("go", trials_per_episode=3)
    assert len(play(env, lambda env: 0, 10)[0]) == 3
    env.reset()
    assert env.num_tr == 0


def test_the_same_seed_gives_the_same_trials_and_noise_only_adds_to_the_stimuli():
    first, second = ([], [])
    for seen in (first, second):
        env = TaskEnv("dm1")
        play(env, lambda env, seen=seen: seen.append(env.ob[env.t_ind]) or 0, 70, seed=5)
    assert np.array_equal(first, second)
    clean = []
    play(TaskEnv("dm1", noise=False), lambda env: clean.append(env.ob[env.t_ind]) or 0, 5, seed=5)
    assert np.min(clean) >= 0 > np.min(first)


def test_a_loader_of_torch_gives_the_batches_that_networks_take(cell):
    made = generate(DatasetSpec("corrected", 100, cell.tasks, 4, "train", 0))
    loader = torch.utils.data.DataLoader(TrialDataset(made), batch_size=5, shuffle=False, collate_fn=collate)
    batches = list(loader)
    assert sum(batch.labels.shape[1] for batch in batches) == len(made) == len(TrialDataset(made)) == 16
    expected = padded_batch(TrialTensors.of(made), np.arange(5, 10))
    for name, values in vars(expected).items():
        found = getattr(batches[1], name)
        assert values is found is None or torch.equal(values, found), name
    assert cell.network(batches[0]).shape == (*batches[0].labels.shape, 17)
