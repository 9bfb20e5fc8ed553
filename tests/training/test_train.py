"""Training of one cell: learns, repeats itself to the byte, and says what happened."""

import io
import subprocess

import numpy as np
import pytest
import torch

from lmrnn.datasets.batches import PaddedBatches
from lmrnn.errors import ConfigError, ConnectivityError, ResourceError
from lmrnn.study.cells import AT_BEST, MEASURES, read_cell, write_cell
from lmrnn.training.evaluation import always_fixate
from lmrnn.training.provenance import code
from lmrnn.training.state import Compute, Training
from lmrnn.training.step import Adam, clip
from lmrnn.training.train import take_step, train
from tests.small_data import cell_spec, datasets

LAYOUTS = ["padded", "stream"]
CLOCKS = {"training_seconds", "evaluation_seconds"}


def run(spec, data=None, **options):
    return train(spec, *(data or datasets()), log=lambda line: None, **options)


def assert_same(one, other):
    """The same to the last bit, except for wall-clock time and provenance."""
    assert one.spec == other.spec
    assert one.status == other.status
    for part in ("weights", "test", "history"):
        left, right = getattr(one, part), getattr(other, part)
        assert set(left) == set(right)
        for name in set(left) - CLOCKS:
            assert left[name].dtype == right[name].dtype
            assert left[name].tobytes() == right[name].tobytes(), (part, name)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_cell_gives_the_same_bytes(layout):
    spec = cell_spec({"kind": "random", "density": 0.2}, {"recurrent_noise": 0.1}, layout=layout)
    assert_same(run(spec), run(spec))


def test_a_spec_needs_no_more_than_what_is_said_to_be_used_of_it():
    spec = cell_spec()
    needed = {name: spec[name] for name in ("seed", "connectivity", "network", "training")}
    assert run(needed).weights["readout"].tobytes() == run(spec).weights["readout"].tobytes()


def test_another_seed_gives_other_weights():
    spec = cell_spec()
    assert not np.array_equal(run(spec).weights["readout"], run({**spec, "seed": 6}).weights["readout"])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_two_connectivities_with_one_seed_see_the_same_trials_in_the_same_order(layout):
    data = datasets()
    trainings = [
        Training(cell_spec(connectivity, layout=layout), *data[:2], Compute())
        for connectivity in ({"kind": "autapse"}, {"kind": "random", "density": 0.5})
    ]
    for _ in range(9):
        one, other = (training.batches.next() for training in trainings)
        assert torch.equal(one.observations, other.observations)
        assert torch.equal(one.rule, other.rule)
    assert torch.equal(trainings[0].network.input, trainings[1].network.input)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_small_network_learns_easy_tasks_far_above_the_baseline(layout):
    data = datasets(trials_per_task=200)
    spec = cell_spec(
        {"kind": "local", "radius": 2.5}, {"neurons": 64}, layout=layout, batch_size=32, steps=400, learning_rate=5e-3
    )
    result = run(spec, data)
    assert always_fixate(data[2]).decision_accuracy.mean() < 0.1
    assert result.test["decision_accuracy"].min() > 0.8
    assert result.history["loss"][-1] < 0.5 * result.history["loss"][1]
    assert result.history["decision_accuracy"][0] < 0.2


def test_history_has_a_row_before_the_first_step_at_every_evaluation_and_after_the_last_step():
    result = run(cell_spec(steps=10, evaluate_every=4))
    history = result.history
    assert history["step"].tolist() == [0, 4, 8, 10]
    assert history["trials"].tolist() == [0, 28, 56, 70]
    assert history["step"].dtype == history["trials"].dtype == np.int64
    assert np.isnan(history["loss"]).tolist() == [True, False, False, False]
    assert history["task_decision_accuracy"].shape == (4, 2)
    np.testing.assert_allclose(history["task_decision_accuracy"].mean(1), history["decision_accuracy"])
    for name in CLOCKS:
        assert np.all(np.diff(history[name]) > 0)
    assert set(result.test) == {*MEASURES, *(AT_BEST + name for name in MEASURES), "always_fixate"}
    assert all(values.shape == (2,) for values in result.test.values())


def test_the_loss_in_the_history_is_the_mean_since_the_last_evaluation():
    every_step, together = (run(cell_spec(steps=8, evaluate_every=every)).history["loss"] for every in (1, 4))
    np.testing.assert_allclose(together[1:], [every_step[1:5].mean(), every_step[5:].mean()])


def test_evaluating_more_often_does_not_change_the_weights():
    one, other = (run(cell_spec(steps=8, evaluate_every=every)) for every in (1, 8))
    assert all(one.weights[name].tobytes() == other.weights[name].tobytes() for name in one.weights)


def test_a_diverging_training_ends_as_diverged_and_keeps_its_history(tmp_path):
    lines = []
    spec = cell_spec({"kind": "full"}, steps=200, learning_rate=1e3, layout="stream", sequence_length=60)
    result = train(spec, *datasets(), log=lines.append)
    assert result.status == "diverged"
    assert 0 < result.history["step"][-1] < 200
    assert not np.isfinite(result.history["loss"][-1])
    assert result.history["step"][0] == 0
    assert all(np.all((values >= 0) & (values <= 1)) for values in result.test.values())
    assert any("diverged at step" in line for line in lines)
    write_cell(tmp_path / "cell.h5", result)
    assert read_cell(tmp_path / "cell.h5", spec).status == "diverged"


def test_gradients_are_clipped_to_the_norm_over_all_parameters(monkeypatch):
    norms = []
    training = Training(cell_spec(gradient_clip=1e-3), *datasets()[:2], Compute())
    step = training.optimiser.step

    def spy(skip):
        norms.append(torch.cat([p.grad.flatten() for p in training.network.parameters()]).norm().item())
        step(skip)

    monkeypatch.setattr(training.optimiser, "step", spy)
    take_step(training)
    assert norms == pytest.approx([1e-3], rel=1e-3)


@pytest.mark.parametrize("limit", [0.1, 3.0, 1e6])
def test_clipping_is_that_of_torch(limit):
    gradients = [torch.randn(shape, generator=torch.Generator().manual_seed(1)) for shape in ((40, 3), (7,))]
    theirs = [torch.nn.Parameter(torch.zeros_like(gradient)) for gradient in gradients]
    for parameter, gradient in zip(theirs, gradients, strict=True):
        parameter.grad = gradient.clone()
    torch.nn.utils.clip_grad_norm_(theirs, limit)
    clip(gradients, limit)
    for parameter, gradient in zip(theirs, gradients, strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


def test_a_gradient_that_is_not_finite_stays_so():
    gradients = [torch.tensor([1.0, float("nan")])]
    clip(gradients, 1.0)
    assert torch.isnan(gradients[0]).any()


def test_one_step_is_adam_on_the_clipped_gradient():
    training = Training(cell_spec(learning_rate=0.01, gradient_clip=1e9), *datasets()[:2], Compute())
    before = {name: p.detach().clone() for name, p in training.network.named_parameters()}
    take_step(training)
    for name, parameter in training.network.named_parameters():
        # the first step of Adam is the learning rate times g / (|g| + eps)
        expected = before[name] - 0.01 * parameter.grad / (parameter.grad.abs() + 1e-8)
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-4, atol=1e-6)


def test_adam_is_that_of_torch_to_the_bit():
    generator = torch.Generator().manual_seed(0)
    ours, theirs = ([torch.nn.Parameter(torch.ones(shape)) for shape in ((40, 3), (7,))] for _ in range(2))
    own, other = Adam(ours, 0.01), torch.optim.Adam(theirs, 0.01, fused=True)
    for _ in range(20):
        for one, same in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=generator)
            same.grad = one.grad.clone()
        own.step()
        other.step()
    assert all(torch.equal(one, same) for one, same in zip(ours, theirs, strict=True))


def test_a_training_does_not_import_the_compiler(run_python):
    done = run_python(
        "import sys; from lmrnn.training.train import train; from tests.small_data import cell_spec, datasets\n"
        "train(cell_spec(), *datasets(), log=lambda line: None); assert 'torch._dynamo' not in sys.modules"
    )
    assert done.returncode == 0, done.stderr


def test_a_full_matched_network_is_as_large_as_its_connectivity():
    result = run(cell_spec({"kind": "full_matched", "radius": 2}))
    size = len(result.weights["bias"])
    assert size < 25
    assert len(result.weights["recurrent"]) == len(result.weights["pre"]) == size**2


def test_provenance_tells_where_and_at_what_cost():
    provenance = run(cell_spec()).provenance
    assert provenance["versions"]["torch"] == torch.__version__
    assert provenance["code"] == code()
    assert provenance["path"] in ("reference", "dense", "kernel")
    assert provenance["restarts"] == 0
    assert provenance["threads"] == 1
    assert provenance["peak_memory_mb"] > 10
    assert provenance["training_seconds"] > 0
    assert provenance["evaluation_seconds"] > 0
    assert provenance["host"]
    assert provenance["started"] <= provenance["ended"]


def test_code_is_known_by_its_sources_and_its_commit(tmp_path, monkeypatch):
    def fails(*_, **__):
        raise BlockingIOError("no more processes")

    def git(*words):
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        return subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    package = tmp_path / "package"
    package.mkdir()
    (package / "loss.py").write_text("1")
    installed = code.__wrapped__(package)
    assert installed["commit"] is None
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    head = git("rev-parse", "HEAD").strip()
    assert code.__wrapped__(package) == {**installed, "commit": head}
    (tmp_path / "study.yaml").write_text("a configuration is no source")
    assert code.__wrapped__(package) == {**installed, "commit": head}
    (package / "loss.py").write_text("2")
    changed = code.__wrapped__(package)
    monkeypatch.setattr(subprocess, "check_output", fails)
    assert code.__wrapped__(package) == {**changed, "commit": None}
    assert changed["commit"] == head + "-dirty"
    assert changed["sha256"] != installed["sha256"]


def test_the_log_has_step_loss_accuracy_pace_and_the_baseline():
    log = io.StringIO()
    train(cell_spec(), *datasets(), log=log)
    lines = log.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines[:4]] == ["step 0/12", "step 4/12", "step 8/12", "step 12/12"]
    for word in ("loss", "decision accuracy", "steps/s", "time left"):
        assert word in lines[1]
    assert "always-fixate" in lines[-1]


def test_the_progress_bar_is_drawn_on_the_terminal_only_when_asked_for(capsys):
    run(cell_spec())
    assert capsys.readouterr().err == ""
    run(cell_spec(), compute=Compute(progress=True))
    assert "12/12" in capsys.readouterr().err


def test_the_number_of_threads_is_given_back():
    before = torch.get_num_threads()
    run(cell_spec(steps=1), compute=Compute(threads=before + 1))
    assert torch.get_num_threads() == before


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="this processor cannot take subnormal numbers for zero")
def test_subnormal_numbers_are_zero_while_training_and_not_after():
    subnormal, seen = torch.tensor(1e-39), []
    train(cell_spec(steps=1), *datasets(), log=lambda line: seen.append((subnormal * 1).item()))
    assert seen
    assert not any(seen)
    assert (subnormal * 1).item() > 0


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"layout": "random"}, ConfigError, "padded, stream"),
        ({"connectivity": {"kind": "local", "radius": 99}}, ConnectivityError, "radius is 99"),
        ({"network": {"nonlinearity": "gelu"}}, ConfigError, "nonlinearity is 'gelu'"),
    ],
)
def test_what_does_not_exist_is_refused(change, error, words):
    with pytest.raises(error, match=words):
        run(cell_spec(**change))


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="auto, cpu, cuda"):
        run(cell_spec(), compute=Compute(device="tpu"))
    if not torch.cuda.is_available():
        with pytest.raises(ResourceError, match="no GPU"):
            run(cell_spec(), compute=Compute(device="cuda"))


def test_the_incomplete_end_of_an_epoch_is_used():
    data = datasets(trials_per_task=5)
    batches = Training(cell_spec(), *data[:2], Compute()).batches
    assert isinstance(batches, PaddedBatches)
    for _ in range(10):
        batches.next()
    assert batches.trials_seen == 70
