"""Who trains: the processes of cells meet at a device, one leads, the others wait; whatever becomes of any of them."""

import fcntl
import io
import os
import random
import shutil
import signal
import socket
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from lmrnn.cli.exits import EXIT_INTERRUPTED
from lmrnn.errors import Interrupted
from lmrnn.training.fleet import leader, train
from lmrnn.training.fleet.devices import Device
from lmrnn.training.fleet.meeting import _address, _held
from lmrnn.training.interruption import StopRequest
from tests.training.node import ROOT, SIGNALS, Node, leads, said, until

KILLS = int(os.environ.get("LMRNN_SOAK_KILLS", "2"))


def same_results(node, other, numbers):
    """Check that cells have the same bits at two nodes."""
    for number in numbers:
        ours, theirs = node.result(number), other.result(number)
        assert ours.status == theirs.status
        for part in ("weights", "test", "history"):
            for name, values in getattr(theirs, part).items():
                if "seconds" not in name:
                    assert np.array_equal(getattr(ours, part)[name], values, equal_nan=True), (number, part, name)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Six cells that were let alone, and what their processes said. They ask for a scan that no processor can give."""
    node = Node(tmp_path_factory.mktemp("undisturbed"), compute={"scan": "fused"})
    node.said = [said(process) for process in [node.start(number) for number in range(6)]]
    return node


def test_one_process_trains_all_cells_and_the_others_wait_without_torch(undisturbed):
    found = undisturbed.said
    assert [each["status"] for each in found] == [0] * 6, found
    assert [each["torch"] for each in found].count(True) == 1
    assert sum("leads the cells" in each["log"] for each in found) == 1
    for each in found:
        assert "trains on cpu in float32, one of" in each["log"]
        assert "by batched products (not by the fused scan: Triton" in each["log"]
        assert "completed at step 300" in each["log"]
        if not each["torch"]:
            assert each["cpu"] < 0.1
            assert each["mb"] < 40
    assert undisturbed.left() == []
    for number in range(6):
        provenance = undisturbed.result(number).provenance
        assert (provenance["path"], provenance["restarts"], provenance["precision"]) == ("fleet", 0, "float32")
        assert provenance["scan"] == "products"


def test_a_finished_cell_is_taken_as_it_is(undisturbed):
    before = undisturbed.cells[0].path(undisturbed.study["results"]).read_bytes()
    found = said(undisturbed.start(0))
    assert found["status"] == 0
    assert "nothing to train" in found["log"]
    assert undisturbed.cells[0].path(undisturbed.study["results"]).read_bytes() == before


def disturbed(node, kills, rng):
    """Kill processes at random moments, each of which is started again, until so many were; how each ended."""
    running = [node.start(number) for number in range(len(node.cells))]
    files, ends, killed = {}, [], 0
    while running:
        time.sleep(rng.uniform(0.02, 0.3))
        for number, cell in enumerate(node.cells):
            path = cell.path(node.study["results"])
            if path.exists():
                assert files.setdefault(number, path.stat().st_ino) == path.stat().st_ino  # written once
        alive = [process for process in running if process.poll() is None]
        leaders = [process for process in alive if leads(process)]
        training = any("trains on" in process.log.read_text() for process in leaders)
        if alive and killed < kills and rng.random() < (0.5 if training else 0.05):
            victim = rng.choice(leaders if leaders and rng.random() < 0.4 else alive)
            victim.send_signal(rng.choice(SIGNALS))
            killed += 1
        for process in [process for process in running if process.poll() is not None]:
            running.remove(process)
            ends.append(said(process))
            if process.returncode:
                running.append(node.start(process.number))
            else:
                assert node.cells[process.number].path(node.study["results"]).exists()
    return ends, killed


def check_kills(folder, undisturbed, kills, seed):
    """Kill so many processes, in as many studies as that takes."""
    rng, done, restarts = random.Random(seed), 0, 0
    while done < kills:
        node = Node(folder / f"{done}")
        ends, killed = disturbed(node, min(kills - done, 12), rng)
        for end in ends:
            usual = {0, EXIT_INTERRUPTED, *(-number for number in SIGNALS)}
            assert end["status"] in usual, end
            assert "Traceback" not in end["log"], end
        same_results(node, undisturbed, range(6))
        restarts += sum(node.result(number).provenance["restarts"] for number in range(6))
        assert node.left() == []
        assert not list((folder / f"{done}/results/checkpoints").rglob("*.h5*"))
        done += killed
        shutil.rmtree(node.folder)
    assert restarts or kills < 10  # few may all have come before anything was saved


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_whoever_is_killed_every_cell_ends_once_with_the_undisturbed_bits(tmp_path, undisturbed):
    check_kills(tmp_path, undisturbed, 2 * KILLS, 0)


@pytest.mark.parametrize("number", [signal.SIGUSR2])
def test_a_leader_that_is_told_to_stop_saves_all_and_another_one_goes_on(tmp_path, undisturbed, number):
    node = Node(tmp_path, compute={"checkpoint_seconds": 1000})
    processes = [node.start(each) for each in range(6)]
    leader = until(lambda: next((each for each in processes if leads(each)), None))
    until(lambda: "step 0/300" in leader.log.read_text())
    leader.send_signal(number)
    found = [said(process) for process in processes]
    assert [each["status"] for each in found] == [
        EXIT_INTERRUPTED if p is leader else 0 for each, p in zip(found, processes, strict=True)
    ]
    assert "saved in" in found[leader.number]["log"]
    assert said(node.start(leader.number))["status"] == 0
    same_results(node, undisturbed, range(6))
    assert node.result(leader.number).provenance["restarts"] == 1
    assert node.left() == []


def test_a_leader_that_is_told_to_stop_in_the_midst_of_an_evaluation_says_so_of_its_own_cell(tmp_path, monkeypatch):
    """The signal comes after it was looked for, and before its cells are saved."""
    node, stop = Node(tmp_path, seeds=1), StopRequest()

    def turn(crew):
        stop(signal.SIGTERM, None)
        train.turn(crew)

    monkeypatch.setattr(leader, "turn", turn)
    request = {"spec": node.cells[0].spec, "compute": {**node.study["compute"], "log": {}}, "plugins": [], "masks": []}
    request["results"] = node.study["results"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind("")
        listener.listen()
        with pytest.raises(Interrupted, match="SIGTERM"):
            leader.lead(Device("here"), listener, stop, request, io.StringIO())
    assert node.cells[0].checkpoint(node.study["results"]).exists()


def test_one_that_waits_and_is_told_to_stop_is_saved_alone(tmp_path, undisturbed):
    node = Node(tmp_path, compute={"checkpoint_seconds": 1000})
    processes = [node.start(each) for each in range(6)]
    until(lambda: all(each.log.exists() and "trains on" in each.log.read_text() for each in processes))
    one = next(each for each in processes if not leads(each))
    one.send_signal(signal.SIGTERM)
    found = [said(process) for process in processes]
    assert [each["status"] for each in found] == [EXIT_INTERRUPTED * (process is one) for process in processes]
    assert "SIGTERM at step" in found[one.number]["log"]
    assert sum(each["torch"] for each in found) == 1
    assert said(node.start(one.number))["status"] == 0
    same_results(node, undisturbed, range(6))


def test_one_bad_cell_among_sixteen_fails_alone_with_its_own_message(tmp_path):
    node = Node(tmp_path, seeds=8, training={"steps": 20, "evaluate_every": 10})
    bad = node.cells[5].path(node.study["results"]).parent
    shutil.rmtree(bad, ignore_errors=True)
    data = node.cells[5].dataset_path(node.study["results"], "train")
    data.write_bytes(data.read_bytes()[:-7])
    shared = [n for n, cell in enumerate(node.cells) if cell.dataset_path(node.study["results"], "train") == data]
    found = [said(process) for process in [node.start(number) for number in range(16)]]
    assert [number for number, each in enumerate(found) if each["status"]] == shared
    for number in shared:
        assert str(data) in found[number]["log"]
        assert "truncated or changed" in found[number]["log"]
    assert not any(str(data) in each["log"] for number, each in enumerate(found) if number not in shared)
    assert node.left() == []


def test_cells_are_spread_over_the_devices_that_are_seen(tmp_path):
    node = Node(tmp_path, seeds=4, gpus=2, training={"steps": 40, "evaluate_every": 40})
    found = [said(process) for process in [node.start(number) for number in range(8)]]
    assert [each["status"] for each in found] == [0] * 8
    lead = [each["log"] for each in found if "leads the cells" in each["log"]]
    assert {log.split("leads the cells that meet at ")[1].split("\n")[0] for log in lead} == {
        f"{socket.gethostname()}-cpu{number}" for number in range(2)
    }
    assert node.left() == []


def test_what_the_dead_have_left_in_the_temporary_folder_disturbs_nobody(tmp_path):
    node = Node(tmp_path, seeds=1, training={"steps": 10, "evaluate_every": 10})
    folder = node.temporary / f"lmrnn-{os.geteuid()}"
    folder.mkdir(mode=0o700)
    for name in ("another-node-cpu0", f"{socket.gethostname()}-cpu0"):
        (folder / f"{name}.lock").write_text("another node 4711")
        dead = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ExitStack() as stack:
            dead.bind(_address(folder, f"{name}.socket", stack))
        dead.close()
        (folder / f"{name}.seat3").write_text("")
    found = [said(process) for process in [node.start(number) for number in range(2)]]
    assert [each["status"] for each in found] == [0, 0], found
    assert node.left() == []


@pytest.mark.parametrize("what", ["a folder that others can write to", "a link"])
def test_a_folder_that_is_not_ones_own_is_refused(tmp_path, what):
    node = Node(tmp_path, seeds=1)
    folder = node.temporary / f"lmrnn-{os.geteuid()}"
    if what == "a link":
        folder.symlink_to(tmp_path)
    else:
        folder.mkdir()
        folder.chmod(0o777)
    found = said(node.start(0))
    assert found["status"] == 1
    assert "is not a folder of yours alone" in found["log"]
    assert "set TMPDIR" in found["log"]


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")
def test_two_users_of_one_node_do_not_meet(tmp_path):
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    ours = Node(tmp_path / "ours", seeds=1, training={"steps": 40, "evaluate_every": 40})
    theirs = Node(tmp_path / "theirs", seeds=1, training={"steps": 40, "evaluate_every": 40})
    ours.temporary.chmod(0o1777)
    for path in (theirs.folder, *theirs.folder.rglob("*")):
        os.chown(path, 65534, 65534)
    # another user in all but reading, so that a checkout of root's own can be imported
    may_read = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    other = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *may_read)
    processes = [ours.start(number) for number in range(2)]
    processes += [theirs.start(number, other, TMPDIR=str(ours.temporary)) for number in range(2)]
    found = [said(process) for process in processes]
    assert [each["status"] for each in found] == [0] * 4, found
    assert sum("leads the cells" in each["log"] for each in found[:2]) == 1
    assert sum("leads the cells" in each["log"] for each in found[2:]) == 1
    assert ours.left() == []


def test_cells_of_another_checkout_have_a_leader_of_their_own(tmp_path):
    """It may be of another version, to which the same spec means something else."""
    shutil.copytree(ROOT / "lmrnn", tmp_path / "other" / "lmrnn", ignore=shutil.ignore_patterns("__pycache__"))
    node = Node(tmp_path / "node", seeds=1, training={"steps": 100_000, "evaluate_every": 1000})
    ours = node.start(0)
    until(lambda: leads(ours))
    theirs = node.start(1, PYTHONSAFEPATH="1", PYTHONPATH=f"{tmp_path / 'other'}:{ROOT}")
    until(lambda: leads(theirs))
    assert leads(ours)
    for process in (ours, theirs):
        process.send_signal(signal.SIGTERM)
    assert [said(process)["status"] for process in (ours, theirs)] == [EXIT_INTERRUPTED] * 2
    assert node.left() == []


def test_a_lock_is_given_back_with_its_file():
    """The next holder never holds a file that is gone: else two could lead."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "d.lock")
        with _held(Path(path)) as first:
            assert first
            old = os.open(path, os.O_RDWR)
            with _held(Path(path)) as second:
                assert not second
        fcntl.flock(old, fcntl.LOCK_EX)  # the file that is gone can be held, and means nothing
        with _held(Path(path)) as third:
            assert third
        os.close(old)
        assert not os.listdir(folder)


def test_cells_with_a_task_and_a_mask_of_their_own_are_trained_together(tmp_path):
    (tmp_path / "mine.py").write_text(
        'from lmrnn.tasks import own_task\nown_task("late", like="go", periods={"delay": 400})(None)\n'
    )
    np.save(tmp_path / "own.npy", np.eye(25))
    grid = [
        {"connectivity": ["autapse"], "tasks": [["late", "go"]], "trials_per_task": [8], "seed": [0]},
        {"connectivity": [{"kind": "file", "path": str(tmp_path / "own.npy")}], "tasks": [["go", "late"]],
         "trials_per_task": [8], "seed": [0]},
    ]  # fmt: skip
    short = {"steps": 10, "evaluate_every": 10}
    node = Node(tmp_path / "node", plugins=[str(tmp_path / "mine.py")], grid=grid, training=short)
    found = [said(process) for process in [node.start(number) for number in range(len(node.cells))]]
    assert [each["status"] for each in found] == [0] * len(node.cells), found
    assert sum(each["torch"] for each in found) == 1
