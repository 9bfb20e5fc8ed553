"""Where a cell is computed: the device that is asked for, what Slurm granted, and where cells could meet."""

import shutil
import subprocess
from types import SimpleNamespace

import pytest
import torch

from lmrnn.errors import ResourceError
from lmrnn.training import state
from lmrnn.training.fleet.devices import by_itself, meeting_points, visible_gpus
from lmrnn.training.state import Compute, Training
from lmrnn.training.step import CapturedStep
from tests.small_data import cell_spec, datasets

NVML = """
#include <string.h>
int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **h) { *h = (void *)(long)(i + 1); return 0; }
int nvmlDeviceGetUUID(void *h, char *s, unsigned n) {
    strncpy(s, h == (void *)1 ? "GPU-aaaa-1" : "GPU-bbbb-2", n);
    return 0;
}
"""
COMPUTE = {"fleet": "auto", "device": "auto", "path": "auto"}


@pytest.fixture
def two_gpus(tmp_path, monkeypatch):
    """NVIDIA's management library as it is where there are two GPUs."""
    compiler = shutil.which("cc") or pytest.skip("needs a C compiler")
    (tmp_path / "nvml.c").write_text(NVML)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", tmp_path / "nvml.so", tmp_path / "nvml.c"], check=True)
    monkeypatch.setenv("LMRNN_NVML", str(tmp_path / "nvml.so"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        (None, ["GPU-aaaa-1", "GPU-bbbb-2"]),
        ("1", ["GPU-bbbb-2"]),
        ("1,0", ["GPU-bbbb-2", "GPU-aaaa-1"]),
        ("GPU-bbbb", ["GPU-bbbb-2"]),
        ("MIG-7/1/0", ["MIG-7-1-0"]),
        ("0,5,1", ["GPU-aaaa-1"]),  # as CUDA: the rest is not seen
        ("", []),
        ("-1", []),
    ],
)
def test_a_gpu_has_one_name_however_it_is_made_visible(two_gpus, monkeypatch, visible, names):
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [device.name for device in visible_gpus()] == names


def test_cells_meet_on_a_gpu_where_that_suits(two_gpus):
    spec, large = cell_spec(), cell_spec(network={"neurons": 65_536})
    assert [device.visible for device in meeting_points(spec, COMPUTE)] == ["GPU-aaaa-1", "GPU-bbbb-2"]
    for alone in ({"fleet": "off"}, {"fleet": False}, {"device": "cpu"}, {"path": "dense"}):
        assert meeting_points(spec, {**COMPUTE, **alone}) == []
    assert meeting_points(large, COMPUTE) == []
    with pytest.raises(ResourceError, match=r"65,536 neurons is too large .* allowed here: off, or auto"):
        meeting_points(large, {**COMPUTE, "fleet": "on"})
    with pytest.raises(ResourceError, match=r"compute\.path is kernel"):
        meeting_points(spec, {**COMPUTE, "fleet": "on", "path": "kernel"})


def test_a_fleet_that_is_asked_for_where_no_gpu_is_seen_is_an_error(two_gpus, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert meeting_points(cell_spec(), COMPUTE) == []
    with pytest.raises(ResourceError, match="sees no NVIDIA GPU"):
        meeting_points(cell_spec(), {**COMPUTE, "fleet": "on"})


@pytest.mark.parametrize(
    ("cuda", "visible", "cause"),
    [
        (None, "0", "a build for the CPU"),
        ("13.0", "", "CUDA_VISIBLE_DEVICES is empty"),
        ("13.0", "0", "driver new enough"),
    ],
)
def test_a_granted_gpu_that_torch_does_not_see_is_an_error_with_its_cause(monkeypatch, cuda, visible, cause):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.delenv("SLURM_JOB_GPUS", raising=False)
    Training(cell_spec(), *datasets()[:2], Compute(device="auto"))  # none was granted
    monkeypatch.setenv("SLURM_JOB_GPUS", "0")
    with pytest.raises(ResourceError, match=f"Slurm has granted a GPU .SLURM_JOB_GPUS=0.*{cause}"):
        Training(cell_spec(), *datasets()[:2], Compute(device="auto"))
    Training(cell_spec(), *datasets()[:2], Compute(device="cpu"))  # it was not wanted


def test_a_large_sparse_network_never_asks_a_gpu_for_its_matrix(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (80e9, 80e9))
    local = SimpleNamespace(neurons=65_536, synapses=65_536 * 25)
    assert state._device("auto", local).type == "cpu"
    assert state._device("auto", SimpleNamespace(neurons=1024, synapses=1024)).type == "cuda"
    assert state._device("auto", SimpleNamespace(neurons=10_000, synapses=10_000**2)).type == "cuda"
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (16e9, 16e9))
    with pytest.raises(
        ResourceError, match=r"65,536 neurons needs 51,540 MB .* the GPU has 16,000 MB.* 1,638,400 synapses"
    ):
        state._device("cuda", local)


def test_too_little_memory_while_a_step_is_captured_is_said_as_what_it_is():
    training = Training(cell_spec(), *datasets()[:2], Compute(path="dense"))

    def full(function):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    step = CapturedStep(training.network, training.optimiser, 1.0, full)
    batch = training.batches.next()
    step.take(batch)
    with pytest.raises(
        ResourceError, match=r"too little memory .* 25 neurons.* MB.*Lower training.batch_size"
    ) as caught:
        step.take(batch)
    assert "cuda_graphs" not in str(caught.value)


@pytest.mark.parametrize("section", ["network", "training"])
def test_a_cell_with_a_setting_that_no_fleet_knows_is_trained_by_itself(section):
    spec = cell_spec()
    assert by_itself(spec) == []
    spec[section]["setting_of_a_later_version"] = 1
    assert by_itself(spec) == ["setting_of_a_later_version"]
    assert by_itself({**cell_spec(), "connectivity": {"kind": "file", "signs": "0" * 64}}) == ["signs of a mask"]
