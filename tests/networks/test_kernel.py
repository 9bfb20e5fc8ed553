"""The compiled kernel: order of the synapses, what it promises beyond the other paths, and how it is built."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import hatch_build
from lmrnn.datasets.batches import Batch
from lmrnn.errors import ConfigError
from lmrnn.networks import LMRNN, build_connectivity, kernel, reference
from lmrnn.networks.pairs import pair_rows, walk
from tests.networks.test_paths import distance, doubled, gradient, random_batch

ROOT = Path(__file__).parents[2]
compiled = pytest.mark.skipif(kernel.why_not() is not None, reason=f"{kernel.why_not()}")
needs_compiler = pytest.mark.skipif(not hatch_build.compilers(), reason="no C compiler here")


def small_network(**options):
    return LMRNN(build_connectivity({"kind": "local", "radius": 3}, 49), 3, initialisation="gaussian", **options)


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 30), st.floats(0, 1), st.integers(0, 2**32))
def test_pairs_hold_every_synapse_once(neurons, density, seed):
    row, column = np.nonzero(np.random.default_rng(seed).random((neurons, neurons)) < density)
    pairs = pair_rows(row, column, neurons)
    listed, columns, order = [], iter(pairs.columns), iter(pairs.order)
    for (first, second), (shared, own, others) in zip(pairs.rows, pairs.counts, strict=True):
        for of in [(first, second)] * shared + [(first,)] * own + [(second,)] * others:
            at = next(columns)
            listed += [(member, at, next(order)) for member in of]
    assert next(columns, None) is None
    assert sorted(listed) == [(r, c, e) for e, (r, c) in enumerate(zip(row, column, strict=True))]
    assert sorted(row for row in pairs.rows.flatten() if row >= 0) == list(range(neurons))
    firsts = np.repeat(np.arange(len(pairs.counts)), pairs.fresh_counts)
    ends = np.cumsum(pairs.counts.sum(axis=1))
    first_use = {c: int(np.searchsorted(ends, np.flatnonzero(pairs.columns == c)[0], "right")) for c in set(column)}
    assert dict(zip(pairs.fresh.tolist(), firsts.tolist(), strict=True)) == first_use


@compiled
def test_the_same_step_gives_the_same_bytes():
    batch = random_batch(20, 100, 3)
    results = []
    for _ in range(2):
        network = small_network()
        for _ in range(3):  # the second and third in memory that the first has written to
            loss = kernel.loss_and_gradients(network, batch)
        results.append([loss, *(parameter.grad for parameter in network.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@compiled
def test_what_another_batch_left_behind_changes_nothing():
    """Also not the NaN of a diverged network, in memory that a smaller batch uses again."""
    fresh, used, batch = small_network(), small_network(), random_batch(9, 5, 3)
    weights = used.recurrent.detach().clone()
    used.recurrent.data.fill_(torch.nan)
    kernel.loss_and_gradients(used, random_batch(30, 90, 3, seed=5))
    used.recurrent.data.copy_(weights)
    expected, found = kernel.loss_and_gradients(fresh, batch), kernel.loss_and_gradients(used, batch)
    assert torch.equal(expected, found)
    assert all(torch.equal(p.grad, q.grad) for p, q in zip(fresh.parameters(), used.parameters(), strict=True))


@compiled
def test_padding_is_not_computed():
    batch = random_batch(12, 6, 3)
    states = kernel.states(small_network(), batch)
    past = torch.arange(12)[:, None] >= batch.lengths
    assert not states[past].any()
    assert states[~past].any(dim=-1).all()


@compiled
@pytest.mark.parametrize(("field", "value"), [("rule", 3), ("rule", -1), ("lengths", 13), ("lengths", 0)])
def test_what_would_reach_outside_the_arrays_is_refused(field, value):
    batch = random_batch(12, 6, 3)
    getattr(batch, field).view(-1)[2] = value
    with pytest.raises(ConfigError, match=r"refuses the batch: a (length|rule)"):
        kernel.loss_and_gradients(small_network(), batch)


@compiled
def test_a_trial_alone_and_in_a_batch_has_the_same_logits():
    network, batch = small_network(), random_batch(15, 70, 3)
    whole = kernel.logits(network, batch)
    alone = Batch(
        *(getattr(batch, name)[:, 7:8] for name in ("observations", "rule", "labels")), *[batch.lengths[7:8]] * 2
    )
    torch.testing.assert_close(whole[:, 7:8], kernel.logits(network, alone), rtol=1e-5, atol=1e-6)


@compiled
@pytest.mark.parametrize("leak", [0.5, 1.0])
@pytest.mark.parametrize("tasks", [3, 32, 33])
@pytest.mark.parametrize("neurons", [289, 400, 529, 1156])
def test_networks_of_uneven_chunks_or_more_than_one_strip_of_rows_equal_the_reference(neurons, tasks, leak):
    connectivity = build_connectivity({"kind": "local", "radius": 3, "boundary": "torus"}, neurons)
    network, batch = LMRNN(connectivity, tasks, leak=leak, initialisation="gaussian"), random_batch(7, 70, tasks)
    right, wide = doubled(network, batch)
    loss = kernel.loss_and_gradients(network, batch)
    assert distance(loss, reference.loss_and_gradients(right, wide)) <= 1e-6
    for p, q in zip(network.parameters(), right.parameters(), strict=True):
        assert distance(p.grad, q.grad) <= 1e-6


@compiled
@pytest.mark.parametrize("boundary", ["torus", "open"])
def test_a_very_large_network_equals_the_reference_and_gives_the_same_bytes_again(boundary):
    """Several of its time steps are computed together."""
    connectivity = build_connectivity({"kind": "local", "radius": 2.3, "boundary": boundary}, 4225)
    assert walk(connectivity.post, connectivity.pre, 4225).together > 1
    network, batch = LMRNN(connectivity, 3, initialisation="gaussian"), random_batch(7, 20, 3)
    right, wide = doubled(network, batch)
    right_loss = reference.loss_and_gradients(right, wide)
    found = []
    for _ in range(2):
        assert distance(kernel.loss_and_gradients(network, batch), right_loss) <= 1e-6
        assert distance(gradient(network), gradient(right)) <= 1e-6
        found.append(gradient(network))
    assert torch.equal(*found)


@compiled
@pytest.mark.parametrize("variant", kernel._load().variants if kernel.why_not() is None else [])
def test_every_instruction_set_passes_the_tests_of_the_paths(variant):
    done = run_tests(tmp_env={"LMRNN_KERNEL_VARIANT": variant})
    assert done.returncode == 0, done.stdout[-3000:]


def run_tests(tmp_env, examples=15):
    """The tests of the kernel's path, in a process of their own."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "kernel and not gpu",
        "tests/networks/test_paths.py",
    ]
    env = {**os.environ, "LMRNN_EXAMPLES": str(examples), "OMP_NUM_THREADS": "1", **tmp_env}
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=600)


@needs_compiler
@pytest.mark.soak
@pytest.mark.timeout(900)  # compiles the kernel anew
def test_the_sanitizers_find_nothing(tmp_path):
    """Addresses and undefined behaviour, in the narrowest and the widest instruction set."""
    runtime = sanitizer_runtime()
    if runtime is None:
        pytest.skip("the compiler has no address sanitizer here")
    soak = "LMRNN_SOAK_KERNELS" in os.environ
    # pointers that wrap and objects that are too small are found as addresses, too; their checks take long to compile
    left_out = [] if soak else ["-fno-sanitize=pointer-overflow,object-size"]
    flags = ["-O0", "-g", "-fsanitize=address,undefined", *left_out, "-fno-sanitize-recover=all"]
    library = tmp_path / "checked.so"
    hatch_build.compile_library(ROOT, library, flags, ["baseline", kernel.variant()])
    for variant in dict.fromkeys(["baseline", kernel.variant()]):
        env = {"LMRNN_KERNEL": str(library), "LMRNN_KERNEL_VARIANT": variant, "LD_PRELOAD": runtime}
        done = run_tests({**env, "ASAN_OPTIONS": "detect_leaks=0"}, examples=15 if soak else 3)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


def sanitizer_runtime():
    """The library to load before Python for a program that is instrumented; None where there is none."""
    done = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True)
    path = Path(done.stdout.strip())
    return str(path) if shutil.which("gcc") and path.is_absolute() and path.exists() else None


def test_without_a_compiler_the_install_goes_on_and_says_so(tmp_path, monkeypatch, capsys):
    (tmp_path / "lmrnn" / "recurrence").mkdir(parents=True)
    shutil.copytree(ROOT / hatch_build.SOURCE, tmp_path / hatch_build.SOURCE)
    (tmp_path / "hatch_build.py").touch()
    (tmp_path / hatch_build.LIBRARY).touch()
    os.utime(tmp_path / hatch_build.LIBRARY, (0, 0))  # an old one, which would not fit
    monkeypatch.setattr(hatch_build, "compilers", list)
    assert not hatch_build.ensure_library(tmp_path)
    assert "no C compiler" in capsys.readouterr().err
    assert not (tmp_path / hatch_build.LIBRARY).exists()


def test_a_compiler_that_fails_is_quoted(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", "false")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match=r"^false: "):
        hatch_build.compile_library(ROOT, tmp_path / "none.so")


def test_the_library_is_compiled_again_only_where_the_source_is_another(tmp_path):
    library = tmp_path / hatch_build.LIBRARY
    source = tmp_path / hatch_build.SOURCE / "one.c"
    source.parent.mkdir(parents=True)
    source.touch()
    (tmp_path / "hatch_build.py").touch()
    os.utime(tmp_path / "hatch_build.py", (100, 100))
    assert not hatch_build.is_current(tmp_path, library)
    library.write_text(hatch_build.digest(source.parent, (".c", ".h")))
    assert hatch_build.is_current(tmp_path, library)
    os.utime(library, (50, 50))
    assert not hatch_build.is_current(tmp_path, library)
    library.touch()
    source.write_text("int changed;")
    os.utime(source, (50, 50))  # as after checking out an older commit
    assert not hatch_build.is_current(tmp_path, library)


@compiled
def test_a_library_of_other_source_is_refused(monkeypatch):
    monkeypatch.setattr(kernel, "_Problem", kernel._Parameters)
    with pytest.raises(OSError, match="compiled from other source"):
        kernel._Library(kernel.LIBRARY)


@compiled
def test_a_library_from_before_a_change_of_the_source_is_refused(tmp_path, monkeypatch):
    shutil.copytree(kernel.SOURCES, tmp_path / "csrc")
    monkeypatch.setattr(kernel, "SOURCES", tmp_path / "csrc")
    kernel._Library(kernel.LIBRARY)
    with open(tmp_path / "csrc/forward.h", "a") as source:
        source.write("\n")
    with pytest.raises(OSError, match=r"compiled from other source .* make setup"):
        kernel._Library(kernel.LIBRARY)
