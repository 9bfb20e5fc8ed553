"""What a machine lacks is said before the first training, with the numbers."""

import psutil
import pytest

from lmrnn.errors import ResourceError
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of
from lmrnn.study.requirements import cell_memory_mb, check_gpu, check_limits
from tests.studies import Study

GRID = {"connectivity": ["full"], "tasks": [20], "trials_per_task": [8], "seed": [0]}


def limits(tmp_path, **changes):
    study = validate_config({"study": "s", "results": str(tmp_path / "results"), "grid": GRID, **changes})
    check_limits(cells_of(study), study, local=True)


def test_a_small_study_fits(tmp_path):
    limits(tmp_path)


def test_too_little_disk_is_said_with_numbers(tmp_path):
    with pytest.raises(ResourceError, match=r"need [\d.]+ GB, but .* has [\d.]+ GB free"):
        limits(tmp_path, grid={**GRID, "trials_per_task": [10**8]})


def test_too_little_memory_is_said_with_numbers(tmp_path):
    with pytest.raises(ResourceError, match=r"needs about [\d,]+ MB of memory, this machine has [\d,]+ MB"):
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
