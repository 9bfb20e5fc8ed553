"""From a rule's resources to the words that sbatch gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake_executor_plugin_submitit.resources import (
    alike,
    memory_class,
    packed,
    parse_extra,
    request,
    signal_delay,
    together,
)
from snakemake_executor_plugin_submitit.settings import ExecutorSettings
from snakemake_executor_plugin_submitit.slurm import options

PLAIN = ExecutorSettings()


def words(resources, threads=1, settings=PLAIN, jobs=1):
    """Words for sbatch, without those about arrays."""
    asked = packed(request(resources, threads, settings), jobs, settings.memory_overhead)
    return [word for word in options(asked, 1, 1, 120) if not word.startswith("--array")]


@pytest.mark.parametrize(
    ("resources", "threads", "expected"),
    [
        ({}, 1, ["--cpus-per-task=1"]),
        ({"mem_mb": 60000}, 1, ["--cpus-per-task=1", "--mem=60000M"]),
        ({"mem_mb": 0}, 1, ["--cpus-per-task=1", "--mem=0M"]),
        ({"mem_mb_per_cpu": 8000, "mem_mb": 400}, 2, ["--cpus-per-task=2", "--mem-per-cpu=8000M"]),
        ({"cpus_per_task": 6}, 2, ["--cpus-per-task=6"]),
        ({"runtime": 240}, 1, ["--cpus-per-task=1", "--time=240"]),
        ({"runtime": 0.2}, 1, ["--cpus-per-task=1", "--time=1"]),
        ({"mpi": "mpiexec", "tasks": 8}, 1, ["--cpus-per-task=1", "--ntasks=8"]),
        (
            {"tasks": 8, "nodes": 2, "tasks_per_node": 4},
            1,
            ["--cpus-per-task=1", "--nodes=2", "--ntasks=8", "--ntasks-per-node=4"],
        ),
        ({"gpu": 1}, 1, ["--cpus-per-task=1", "--gpus-per-node=1"]),
        ({"gpus": 2, "gpu_model": "a100"}, 1, ["--cpus-per-task=1", "--gpus-per-node=a100:2"]),
        ({"gpus": 1, "gpu_model": "1g.5gb"}, 1, ["--cpus-per-task=1", "--gpus-per-node=1g.5gb:1"]),
        ({"gres": "gpu:1g.5gb:1"}, 1, ["--cpus-per-task=1", "--gres=gpu:1g.5gb:1"]),
        (
            {"slurm_partition": "long", "slurm_account": "lab", "qos": "high"},
            1,
            ["--account=lab", "--cpus-per-task=1", "--partition=long", "--qos=high"],
        ),
        (
            {"constraint": "a&b", "nodelist": "n[1-2]", "exclude": "n3"},
            1,
            ["--constraint=a&b", "--cpus-per-task=1", "--exclude=n3", "--nodelist=n[1-2]"],
        ),
        (
            {"clusters": "east", "slurm_reservation": "course"},
            1,
            ["--clusters=east", "--cpus-per-task=1", "--reservation=course"],
        ),
        (
            {"slurm_extra": "--job-name=mine --cpus-per-task=4 -p x"},
            1,
            ["--cpus-per-task=1", "--job-name=mine", "--cpus-per-task=4", "-p", "x"],
        ),
        (
            {"slurm_extra": "--mail-type=END '--mail-user=a b'"},
            1,
            ["--cpus-per-task=1", "--mail-type=END", "--mail-user=a b"],
        ),
        ({"resumable": 1, "runtime": 60}, 1, ["--cpus-per-task=1", "--time=60", "--requeue", "--signal=USR2@120"]),
        (
            {"resumable": 1, "runtime": 60, "mpi": "x"},
            1,
            ["--cpus-per-task=1", "--time=60", "--requeue", "--signal=B:USR2@120"],
        ),
        (
            {"resumable": 1, "slurm_extra": "--no-requeue"},
            1,
            ["--cpus-per-task=1", "--requeue", "--signal=USR2@120", "--no-requeue"],
        ),
        ({"resumable": 0, "own": 3, "disk_mb": 9, "tmpdir": "/x", "attempt": 1}, 1, ["--cpus-per-task=1"]),
    ],
)
def test_what_a_rule_asks_for_is_what_sbatch_gets(resources, threads, expected):
    assert words(resources, threads) == expected


@pytest.mark.parametrize(
    ("resources", "why"),
    [
        ({"gpu_model": "a100"}, "gpus"),
        ({"gres": "gpu:1", "gpus": 1}, "one of them"),
        ({"gres": "gpu 1"}, "name:count"),
        ({"gpus": 1, "gpu_model": "a100; rm"}, "a name like"),
        ({"mem_mb_per_cpu": "much"}, "is a number"),
        ({"slurm_extra": "nice=5"}, "hyphen"),
        ({"slurm_extra": "--array=1-5"}, "array"),
        ({"slurm_extra": "--output x"}, "output"),
        ({"slurm_extra": "--comment=x"}, "comment"),
        ({"slurm_extra": "--nice='5"}, "quotation"),
    ],
)
def test_what_contradicts_itself_is_refused_with_a_reason(resources, why):
    with pytest.raises(ValueError, match=why):
        words(resources)


def test_settings_stand_in_and_rules_go_before_them():
    settings = ExecutorSettings(partition="cpu", account="lab", gpu_type="a100", extra="--nice=5", memory_overhead=500)
    resources = {"mem_mb": 1000, "runtime": 30, "gpu": 1, "slurm_partition": "gpu", "slurm_extra": "--exclusive"}
    assert words(resources, 2, settings, jobs=3) == [
        *("--account=lab", "--cpus-per-task=6", "--gpus-per-node=a100:1", "--mem=3500M", "--partition=gpu"),
        *("--time=30", "--nice=5", "--exclusive"),
    ]


@pytest.mark.parametrize(
    ("resources", "threads", "jobs", "cpus"),
    [
        ({"gpus": 1, "pack_cpus_per_gpu": 2}, 1, 16, 2),
        ({"gres": "gpu:1g.5gb:1", "pack_cpus_per_gpu": 2}, 1, 16, 2),
        ({"gpus": 1, "pack_cpus_per_gpu": 2}, 4, 16, 4),  # no less than one of them takes by itself
        ({"gpus": 1, "pack_cpus_per_gpu": 20}, 1, 16, 16),  # and no more than all
        ({"gpus": 1, "pack_cpus_per_gpu": 0}, 1, 16, 16),
        ({"gpus": 1}, 1, 16, 16),
        ({"pack_cpus_per_gpu": 2}, 1, 16, 16),
        ({"gpus": 1, "pack_cpus_per_gpu": 2}, 1, 1, 1),
        ({"gpus": 2, "gpu_model": "a100", "pack_cpus_per_gpu": 2}, 1, 16, 4),
        ({"gpus": 1, "gpu_model": "a100", "pack_cpus_per_gpu": 2}, 1, 16, 2),
    ],
)
def test_jobs_that_share_a_gpu_share_the_cpus_that_they_say(resources, threads, jobs, cpus):
    asked = words(resources, threads, jobs=jobs)
    assert f"--cpus-per-task={cpus}" in asked
    assert not any("pack" in word for word in asked)


@given(st.lists(st.integers(1, 2000), min_size=1), st.lists(st.integers(1, 10**6), min_size=1))
def test_an_array_asks_for_no_less_than_each_of_its_jobs_and_for_no_more_than_the_largest(minutes, memories):
    asked = [request({"runtime": m, "mem_mb": b}, 1, PLAIN) for m in minutes for b in memories]
    classes = {}
    for one in asked:
        classes.setdefault(alike(one), []).append(one)
    for members in classes.values():
        whole = together(members)
        for name in ("time", "mem"):
            assert whole[name] == max(one[name] for one in members)
        assert whole["time"] < 2 * min(one["time"] for one in members)
        assert whole["mem"] <= max(1.26 * (least := min(one["mem"] for one in members)), least + 128)


def test_jobs_that_differ_in_run_time_or_in_a_resource_of_their_own_share_arrays():
    asked = [request({"runtime": 5 + i, "mem_mb": 1000 + i, "license": i}, 1, PLAIN) for i in range(20)]
    assert len({alike(one) for one in asked}) <= 3


def test_a_job_that_is_beyond_a_partitions_limit_shares_no_array_with_one_that_is_not():
    times = (300, 400, 590, 600, 601, 1000)
    kinds = [alike(request({"runtime": minutes}, 1, PLAIN), [60, 600]) for minutes in times]
    assert kinds[0] == kinds[1]
    assert kinds[2] == kinds[3]
    assert kinds[3] != kinds[4] == kinds[5]


@pytest.mark.parametrize(("minutes", "wanted", "delay"), [(60, 120, 120), (3, 120, 60), (1, 120, 1), (2, 600, 1)])
def test_the_signal_does_not_come_before_the_task_is_up(minutes, wanted, delay):
    assert signal_delay(minutes, wanted) == delay


@pytest.mark.parametrize(("needed", "end"), [(0, 0), (1, 128), (468, 512), (512, 512), (513, 640), (9000, 10240)])
def test_memory_falls_into_classes(needed, end):
    assert memory_class(needed) == end


def test_extra_options_are_words_as_a_shell_would_split_them():
    assert parse_extra("--a='b c' -x \"$(touch y)\"") == ["--a=b c", "-x", "$(touch y)"]
