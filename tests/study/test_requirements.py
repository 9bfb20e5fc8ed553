"""What a machine lacks is said before the first training, with the numbers."""

import psutil
import pytest

from lmrnn.errors import ResourceError
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of
from lmrnn.study.requirements import cell_memory_mb, check_disk, check_gpu, check_limits, memory_mb
from lmrnn.study.sizes import cell_bytes
from tests.studies import Study

GRID = {"connectivity": ["full"], "tasks": [20], "trials_per_task": [8], "seed": [0]}


def limits(tmp_path, **changes):
    study = validate_config({"study": "s", "results": str(tmp_path / "results"), "grid": GRID, **changes})
    check_limits(cells_of(study), study, local=True)


def test_a_small_study_fits(tmp_path):
    limits(tmp_path)


def test_too_little_disk_is_said_with_numbers(tmp_path):
    with pytest.raises(ResourceError, match=r"needs [\d.]+ GB \(.*\), but .* has [\d.]+ GB free"):
        limits(tmp_path, grid={**GRID, "trials_per_task": [10**8]})


def test_too_little_memory_is_said_with_numbers(tmp_path):
    with pytest.raises(ResourceError, match=r"needs about [\d,]+ MB of memory, this machine has [\d,]+ MB for it"):
        limits(tmp_path, network={"neurons": 10**6})


def test_a_gpu_that_is_not_there_is_missed():
    with pytest.raises(ResourceError, match="no NVIDIA GPU"):
        check_gpu("cuda")


def test_memory_grows_with_synapses():
    small, large = (
        cell_memory_mb(cells_of(validate_config({"study": "s", "grid": GRID, "network": {"neurons": n}}))[0])
        for n in (1024, 16384)
    )
    assert 500 < small < 2000
    assert 10_000 < large < 40_000


def test_snakemake_says_it_and_leaves_no_lock(tmp_path):
    study = Study(tmp_path / "study")
    study.change(network={"neurons": 10**6}, grid={"connectivity": ["full"]})
    assert psutil.virtual_memory().total < 1e12
    for _ in range(2):
        done = study.snakemake()
        assert done.returncode != 0
        assert "MB of memory" in done.stdout
    assert study.trained() == {}


def test_memory_is_what_the_cgroup_leaves_not_what_the_machine_has(tmp_path):
    def put(name, text):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    groups, whole = tmp_path / "groups", psutil.virtual_memory().total / 1e6
    put("groups", "0::/user/job\n")
    assert memory_mb(groups, tmp_path) == whole
    put("user/job/memory.max", "max\n")
    assert memory_mb(groups, tmp_path) == whole
    put("user/memory.max", "300000000\n")  # a limit above counts for all below
    assert memory_mb(groups, tmp_path) == 300
    put("user/job/memory.max", "200000000\n")
    assert memory_mb(groups, tmp_path) == 200
    put("groups", "9:cpu:/x\n4:hugetlb,memory:/step/1\n1:name=systemd:/y\n")
    put("memory/memory.limit_in_bytes", "9223372036854771712\n")
    assert memory_mb(groups, tmp_path) == whole
    put("memory/step/memory.limit_in_bytes", "100000000\n")
    assert memory_mb(groups, tmp_path) == 100
    put("groups", "0::/only/the/host/has/it\n")  # a container sees its own limit at the root
    put("memory.max", "50000000\n")
    assert memory_mb(groups, tmp_path) == 50
    assert memory_mb(tmp_path / "none", tmp_path) == whole


def test_memory_is_what_ulimit_leaves(run_python):
    done = run_python(
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2 * 10**9,) * 2)\n"
        "from lmrnn.study.requirements import memory_mb; print(memory_mb())"
    )
    assert done.stdout == "2000.0\n", done.stderr


def test_the_disk_must_hold_cells_and_checkpoints_too(tmp_path, monkeypatch):
    study = validate_config({"study": "s", "grid": {**GRID, "seed": [0, 1]}, "network": {"neurons": 1024}})
    cells = cells_of(study)
    file, checkpoint = cell_bytes(cells[0].spec)
    assert file > 1024**2 * 20
    assert checkpoint > 1024**2 * 16
    for cell in cells:
        for split in ("train", "validation", "test"):
            path = cell.dataset_path(tmp_path, split)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    disk = type("Disk", (), {"free": 2 * file + 3 * checkpoint})
    monkeypatch.setattr("shutil.disk_usage", lambda path: disk)
    check_disk(cells, tmp_path, at_once=1)
    with pytest.raises(ResourceError, match=r"cells 0\.04, checkpoints 0\.11"):
        check_disk(cells, tmp_path, at_once=2)
    disk.free = 2 * file
    with pytest.raises(ResourceError):
        check_disk(cells, tmp_path, at_once=1)
