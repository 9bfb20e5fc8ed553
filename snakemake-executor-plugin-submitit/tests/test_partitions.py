"""The partition that fits, from a file of limits; and the sizes and times that Slurm and people write."""

import pytest
from snakemake_executor_plugin_submitit.commands import seconds
from snakemake_executor_plugin_submitit.efficiency import megabytes
from snakemake_executor_plugin_submitit.partitions import best, minutes, read_partitions
from snakemake_executor_plugin_submitit.resources import request
from snakemake_executor_plugin_submitit.settings import ExecutorSettings

FILE = """
partitions:
  short: {max_runtime: 30, max_mem_mb: 8000, max_threads: 8, available_constraints: [test]}
  long: {max_runtime: 2-00:00:00, max_mem_mb: 64000, max_nodes: 4, max_tasks: 64}
  huge: {max_runtime: 7d, max_mem_mb: 1000000, supports_mpi: false}
  gpu: {max_runtime: 4h, max_gpu: 4, available_gpu_models: [a100, 1g.5gb]}
  east: {cluster: east}
"""


@pytest.fixture
def partitions(tmp_path):
    (tmp_path / "partitions.yaml").write_text(FILE)
    return read_partitions(tmp_path / "partitions.yaml")


@pytest.mark.parametrize(
    ("resources", "name"),
    [
        ({"runtime": 10, "mem_mb": 1000}, "short"),
        ({"runtime": 31, "mem_mb": 1000}, "gpu"),  # it is closest to its limit of four hours
        ({"runtime": 600, "mem_mb": 1000}, "long"),
        ({"runtime": 5000, "mem_mb": 1000}, "huge"),
        ({"runtime": 10, "mem_mb": 100_000}, "huge"),
        ({"runtime": 10, "mem_mb": 1000, "gpus": 2}, "gpu"),
        ({"runtime": 10, "gres": "gpu:1g.5gb:1"}, "gpu"),
        ({"runtime": 10, "mem_mb": 9000, "tasks": 8, "mpi": "srun"}, "long"),
        ({"runtime": 10, "mem_mb": 1000, "constraint": "test"}, "short"),
        ({"clusters": "east", "runtime": 10**6}, "east"),
    ],
)
def test_the_partition_is_the_one_whose_limits_are_closest(partitions, resources, name):
    assert best(partitions, request(resources, 1, ExecutorSettings())) == name


@pytest.mark.parametrize(
    "resources",
    [{"gpus": 5}, {"gpus": 1, "gpu_model": "h100"}, {"mem_mb": 2_000_000, "runtime": 10**5}, {"clusters": "west"}],
)
def test_a_job_that_no_partition_allows_is_refused_with_each_ones_reason(partitions, resources):
    with pytest.raises(ValueError, match=r"short: .*; long: .*; huge: "):
        best(partitions, request(resources, 1, ExecutorSettings()))


@pytest.mark.parametrize(
    "text",
    ["", "[1]", "partitions: 3", "a: 1", "partitions: {a: {max_time: 3}}", "partitions: {a: {max_runtime: soon}}", "{"],
)
def test_what_is_no_file_of_partitions_is_named(tmp_path, text):
    path = tmp_path / "partitions.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"partitions\.yaml"):
        read_partitions(path)
    with pytest.raises(ValueError, match=r"missing\.yaml"):
        read_partitions(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [(90, 90), ("90", 90), ("4h", 240), ("2d", 2880), ("1h30m", 90), ("1-12:00:00", 2160), ("02:30", 150)],
)
def test_times_as_people_write_them(text, value):
    assert minutes(text) == value


def test_times_and_sizes_as_slurm_writes_them():
    assert seconds("00:01.5") == 1.5
    assert seconds("2-00:00:01") == 172801
    assert megabytes("2048K") == 2
    assert megabytes("1.5G") == 1536
    assert megabytes("") == 0
