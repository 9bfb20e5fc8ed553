"""The places where tasks run, by themselves."""

import signal
import threading
import time

import pytest
from snakemake_executor_plugin_submitit.clusters import DebugCluster, make_cluster
from snakemake_executor_plugin_submitit.interrupts import Patience
from snakemake_executor_plugin_submitit.settings import ExecutorSettings
from snakemake_executor_plugin_submitit.submission import is_alive, this_driver


def broken(error):
    """A task's work that cannot even be begun."""

    def work(started):
        raise error

    return work


@pytest.mark.filterwarnings("ignore:debug task")
@pytest.mark.parametrize(
    "error", [OSError("the folder is gone"), RuntimeError("1 of 1 jobs"), ValueError("no such value")]
)
def test_a_task_whose_thread_has_died_does_not_run_for_ever(tmp_path, error, capfd):
    cluster = DebugCluster()
    names = cluster.submit(tmp_path / "submission", [broken(error), lambda started: 1], {}, "name", "comment")
    end = time.monotonic() + 20
    while "RUNNING" in cluster.states(names, "").values() and time.monotonic() < end:
        time.sleep(0.05)
    assert list(cluster.states(names, "").values()) == ["FAILED", "COMPLETED"]


def test_a_stopped_debug_cluster_starts_nothing_more(tmp_path):
    cluster, ran, first = DebugCluster(), [], threading.Event()

    def wait(started):
        first.wait(20)

    names = cluster.submit(tmp_path / "submission", [wait, lambda started: ran.append(1)], {}, "name", "comment")
    cluster.cancel(names, "")
    first.set()
    end = time.monotonic() + 20
    while "RUNNING" in cluster.states(names, "").values() and time.monotonic() < end:
        time.sleep(0.05)
    assert cluster.states(names, "")[names[1]] == "CANCELLED"
    assert not ran


def test_another_cluster_is_refused_by_name():
    with pytest.raises(ValueError, match="slurm, local, debug"):
        make_cluster(ExecutorSettings(cluster="cloud"), "python")


def test_the_second_ctrl_c_of_an_impatient_hand_is_only_noted():
    import logging

    heard = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        patience = Patience(logging.getLogger("test"))
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)
        assert len(heard) == 1
        patience.over()
        signal.raise_signal(signal.SIGINT)
        assert len(heard) == 2
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_ctrl_c_that_was_lost_is_raised_again_until_cancelling_begins(monkeypatch):
    import logging

    heard, now = [], [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        patience = Patience(logging.getLogger("test"))
        patience.insist()
        signal.raise_signal(signal.SIGINT)
        patience.insist()
        assert len(heard) == 1
        now[0] += 6
        patience.insist()
        assert len(heard) == 2
        patience.heard = True
        now[0] += 6
        patience.insist()
        assert len(heard) == 2
        patience.over()
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    "driver",
    [{}, {"host": 3}, {"pid": "x"}, {"host": "elsewhere", "pid": 1, "started": 0}, {"pid": 10**30, "started": None}],
)
def test_a_driver_that_nobody_can_find_is_not_alive(driver):
    assert not is_alive({"host": this_driver()["host"], **driver})
    assert not is_alive(this_driver())  # it is this process
