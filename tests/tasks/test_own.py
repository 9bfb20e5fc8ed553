"""Tasks of one's own: what a file registers is drawn, rendered and known by its content; mistakes are told."""

import hashlib
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmrnn import plugins
from lmrnn.datasets import DatasetSpec, generate, generate_dataset, load_dataset
from lmrnn.datasets import spec as dataset_spec
from lmrnn.errors import ConfigError, TaskNameError
from lmrnn.plugins import PluginError
from lmrnn.tasks import Variation, battery, battery_names, draw, parse, period_names, render, sample
from lmrnn.tasks.observer import reach_of

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("parametric_memory", "interval_timing", "go_nogo")
HEAD = "import numpy as np\nfrom lmrnn.tasks import own_task\n"
LATE = f"""{HEAD}
@own_task("late_go", periods={{"fixation": 300, "stimulus": (200, 600), "decision": 500}}, draw=lambda n, rng: {{
    "position": rng.integers(0, 16, n), "level": rng.random((n, 2))}})
def late_go(trials):
    trials.show("stimulus", trials["position"])
    trials.answer(trials["position"])
"""


@pytest.fixture(autouse=True)
def apart(monkeypatch):
    """What a test registers is gone after it."""
    monkeypatch.setattr(plugins, "_known", {})
    monkeypatch.setenv(plugins.VARIABLE, "")


def written(folder, text, name="mine.py"):
    path = folder / name
    path.write_text(text)
    return path


def spec_of(name, plugin, **changes):
    fields = {"definition": "corrected", "dt": 100, "trials_per_task": 5, "split": "train", "data_seed": 0}
    return DatasetSpec(**{**fields, "tasks": (name, "go"), "own_tasks": ((name, plugin.sha256),), **changes})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dt", [20, 100])
def test_an_example_task_can_be_drawn_and_answers_in_its_last_period(name, dt):
    plugins.load(EXAMPLES / f"{name}.py")
    trials = sample(parse(name), 50, np.random.default_rng(0), dt)
    time = np.concatenate([np.arange(length) for length in trials.length])
    before = time < np.repeat(trials.decision, trials.length)
    assert not trials.labels[before].any()
    assert trials.labels.any()
    assert np.isfinite(trials.observations).all()
    assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) <= 32


def test_the_examples_answers_are_right():
    for name in NAMES:
        plugins.load(EXAMPLES / f"{name}.py")
    memory = sample(parse("parametric_memory"), 100, np.random.default_rng(1))
    stronger = memory.draws.columns["strength1"] > memory.draws.columns["strength2"]
    last = memory.start + memory.length - 1
    assert np.array_equal(memory.labels[last], np.where(stronger, 1, 9))
    timing = sample(parse("interval_timing"), 100, np.random.default_rng(1), dt=20)
    answered = [np.flatnonzero(timing.labels[timing.rows(trial)])[0] for trial in range(100)]
    assert np.array_equal(np.array(answered) - timing.decision, timing.draws.durations[:, 2])
    nogo = sample(parse("go_nogo"), 100, np.random.default_rng(1))
    columns, last = nogo.draws.columns, nogo.start + nogo.length - 1
    assert np.array_equal(nogo.labels[last], np.where(columns["go"], columns["position"] + 1, 0))


def test_what_is_shown_adds_up_and_is_noisy_once(tmp_path):
    text = f"""{HEAD}
@own_task("two", periods={{"cue": 200, "decision": 100}})
def two(trials):
    trials.show("cue", 3)
    trials.show("cue", 3, strength=0.5, start=100)
    trials.show("cue", 8, ring=2, noise=False)
    trials.answer(15)
"""
    plugins.load(written(tmp_path, text))
    task = parse("two")
    made = render(task, draw(task, 2, np.random.default_rng(0)))
    assert np.allclose(made.observations[:3, 4], [0.8, 1.2, 0])
    assert np.allclose(made.observations[:3, 17 + 8], [0.8, 0.8, 0])
    assert made.observations[:, 0].tolist() == [1, 1, 0] * 2
    assert made.labels.tolist() == [0, 0, 16] * 2
    assert made.noise.entry.tolist() == [33 * row + 1 for row in (0, 1, 3, 4)]


def test_a_task_of_the_battery_can_be_taken_with_other_periods(tmp_path):
    text = f'{HEAD}own_task("long_dms", like="dms", periods={{"delay": 3000}}, ideal=lambda dt: 0.9)(None)\n'
    plugins.load(written(tmp_path, text))
    task, rng = parse("long_dms"), np.random.default_rng
    drawn = draw(task, 20, rng(0))
    assert set(drawn.durations[:, 2]) == {30}
    by_hand = render(parse("dms"), drawn)
    assert np.array_equal(render(task, drawn).observations, by_hand.observations)
    assert np.array_equal(render(task, drawn).labels, by_hand.labels)
    assert reach_of([task]).ideal == 0.9
    assert np.isnan(reach_of([task]).chance)


def test_own_tasks_enter_no_numbered_battery_and_change_no_trial_of_others(tmp_path):
    before = {n: battery_names(n) for n in (20, 82, 126, 132)}
    alone = generate(DatasetSpec("corrected", 100, ("go",), 5, "train", 0))
    plugin = plugins.load(written(tmp_path, LATE))
    assert {n: battery_names(n) for n in before} == before
    both = generate(spec_of("late_go", plugin))
    assert both.tasks == ("late_go", "go")
    rows = slice(int(both.start[5]), None)
    assert np.array_equal(both.observations[rows], alone.observations)
    assert both.parameters["level"].shape == (10, 2)
    assert np.isnan(both.parameters["level"][5:]).all()


def test_a_dataset_of_an_own_task_comes_back_from_its_file_and_begins_every_larger_one(tmp_path):
    plugin = plugins.load(written(tmp_path, LATE))
    small, large = spec_of("late_go", plugin), spec_of("late_go", plugin, trials_per_task=600)
    generate_dataset(small, tmp_path / "data.h5")
    loaded, made, larger = load_dataset(tmp_path / "data.h5", small), generate(small), generate(large)
    assert DatasetSpec.from_json(small.to_json()) == small
    for name, values in made.parameters.items():
        assert np.array_equal(loaded.parameters[name], values, equal_nan=values.dtype.kind == "f"), name
        assert np.array_equal(larger.parameters[name][:5], values[:5], equal_nan=values.dtype.kind == "f"), name
    assert np.array_equal(loaded.observations, made.observations)
    steps = int(made.start[5])
    assert np.array_equal(larger.observations[:steps], made.observations[:steps])
    assert [period.name for period in loaded.periods(0)] == ["fixation", "stimulus", "decision"]


def test_another_content_is_another_dataset_and_another_place_the_same(tmp_path):
    first = spec_of("late_go", plugins.load(written(tmp_path, LATE)))
    moved = spec_of("late_go", plugins.load(written(tmp_path, LATE, "moved.py")))
    changed = spec_of("late_go", plugins.load(written(tmp_path, LATE + "\n", "mine.py")))
    assert first == moved
    assert len({first.path("d"), changed.path("d")}) == 2
    assert generate(first).n_trials == 10  # found again under its other name


def test_a_process_that_is_started_from_this_one_finds_the_task(tmp_path):
    plugin = plugins.load(written(tmp_path, LATE))
    spec = spec_of("late_go", plugin)
    code = f"import pickle; from lmrnn.datasets import generate; print(generate(pickle.loads({pickle.dumps(spec)!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    task = pickle.loads(pickle.dumps(parse("late_go")))
    assert task == parse("late_go")


def test_a_file_that_is_gone_or_changed_is_named(tmp_path):
    path = written(tmp_path, LATE)
    spec = spec_of("late_go", plugins.load(path))
    plugins._known.clear()
    dataset_spec._battery.cache_clear()
    path.write_text(LATE + "# changed\n")
    with pytest.raises(ConfigError, match=r"late_go is one of the tasks of a file with sha256 .*mine\.py.*changed or"):
        generate(spec)


MISTAKES = {
    "a syntax error": ("def f(:\n", r"line 3: SyntaxError: "),
    "an exception": ("x = 1 / 0\n", r"line 3: ZeroDivisionError: division by zero"),
    "an end of the process": ("raise SystemExit\n", r"line 3: SystemExit"),
    "nothing": ("x = 1\n", r"it registers nothing"),
    "a name of the battery": ('own_task("dms", like="go")(None)\n', r"line 3: .*'dms', which is a task of the battery"),
    "a name twice": ('own_task("a", like="go")(None)\nown_task("a", like="go")(None)\n', r"line 4: two tasks .*'a'"),
    "a name that is none": ('own_task("A-b", like="go")(None)\n', r"line 3: a task is named 'A-b'"),
    "a foreign period": ('own_task("a", like="go", periods={"wait": 5})(None)\n', r"line 3: .*no period 'wait'"),
    "a span": ('own_task("a", like="go", periods={"delay": (500, 100)})(None)\n', r"line 3: .*delay is \(500, 100\)"),
    "no rendering": ('own_task("a", periods={"decision": 100})(None)\n', r"line 3: .*without `like`"),
}
FAULTS = {
    "an exception while rendering": ('trials.show("cue", nothing)', r"line 6: NameError: name 'nothing'"),
    "an unknown period": (
        'trials.show("stimulus", 3)',
        r"line 6: there is no period 'stimulus'; the task has: cue, dec",
    ),
    "an unknown column": ('trials["place"]', r"line 6: there is no column 'place'; drawn are: position"),
    "a wrong shape": (
        'trials.show("cue", np.zeros(3))',
        r"line 6: position is of float64, \(3,\); allowed: one number",
    ),
    "no ring": ('trials.show("cue", 3, ring=0)', r"line 6: ring is 0; allowed: 1 or 2"),
    "no position": ("trials.answer(16)", r"line 6: a position to answer is 16; allowed: 0, 1"),
    "not finite": ('trials.show("cue", 3, strength=np.nan)', r"line 6: strength has values that are not finite"),
    "dependence": ('trials.show("cue", len(trials) % 3)', r"line 4: .*depend on which others are rendered"),
}
DRAWS = {
    "too few rows": ('{"position": rng.integers(0, 16, 3)}', r"line 3: the column position of a is of int64, \(3,\)"),
    "no columns": ("[1]", r"line 3: the draws of a are list; allowed: a dict"),
    "another generator": ('{"position": np.random.default_rng().random(n)}', r"line 4: .*differ between two calls"),
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_of_a_plugin_is_told_with_file_and_line(text, message, tmp_path):
    with pytest.raises(PluginError, match=r"mine\.py: " + message):
        plugins.load(written(tmp_path, HEAD + text))
    assert "a" not in plugins.latest("tasks")


@pytest.mark.parametrize(
    ("draws", "body", "message"),
    [('{"position": rng.integers(0, 16, n)}', *fault) for fault in FAULTS.values()]
    + [(draws, "pass", message) for draws, message in DRAWS.values()],
    ids=[*FAULTS, *DRAWS],
)
def test_a_mistake_in_a_plugins_function_is_told_when_the_file_is_read(draws, body, message, tmp_path):
    lines = [f"places = lambda n, rng: {draws}", '@own_task("a", periods={"cue": 500, "decision": 200}, draw=places)']
    text = HEAD + "\n".join([*lines, "def a(trials):", f"    {body}", ""])
    with pytest.raises(PluginError, match=r"mine\.py: " + message) as caught:
        plugins.load(written(tmp_path, text))
    assert len(str(caught.value).splitlines()) == 1


def test_periods_that_are_no_whole_number_of_steps_are_refused(tmp_path):
    plugins.load(written(tmp_path, LATE))
    with pytest.raises(ConfigError, match=r"task late_go: .*250 ms of the period stimulus.*multiples of 100"):
        draw(battery(["late_go"], variation=Variation({"stimulus": 250}))[0], 1, np.random.default_rng(0))


def test_a_misspelt_own_task_is_hinted_at(tmp_path):
    plugins.load(written(tmp_path, LATE))
    with pytest.raises(TaskNameError, match="nearest names: late_go"):
        parse("late_goo")


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.sampled_from(battery_names(126)), st.sampled_from([20, 100]), st.floats(0, 4))
def test_the_level_of_the_noise_scales_it_and_leaves_everything_else(name, dt, level):
    plain, varied = parse(name), battery([name], variation=Variation(noise=level))[0]
    seen = [sample(task, 5, np.random.default_rng(3), dt).observations for task in (plain, varied)]
    shown = render(plain, draw(plain, 5, np.random.default_rng(3), dt), dt).observations
    assert np.allclose(seen[1] - shown, level * (seen[0] - shown), atol=1e-5)


def test_noise_throughout_is_on_every_channel_at_every_time_step():
    task = battery(["go"], variation=Variation(noise=2, noise_where="throughout"))[0]
    noisy = sample(task, 400, np.random.default_rng(0))
    shown = render(task, noisy.draws).observations
    deviation = (noisy.observations - shown).std(axis=0)
    assert np.allclose(deviation, 2 / np.sqrt(100), rtol=0.05)


def test_timing_is_that_of_every_task_with_such_a_period():
    variation = Variation({"delay": [200, 800, 200], "stimulus": 300})
    for task in battery(["dlygo", "dms", "dlygointr", "dm1"], variation=variation):
        drawn = draw(task, 200, np.random.default_rng(0))
        durations = dict(zip(period_names(task), drawn.durations.T, strict=True))
        if "delay" in durations:
            assert set(durations["delay"]) == {2, 4, 6}
        if "stimulus" in durations:
            assert set(durations["stimulus"]) == {3}


@pytest.mark.parametrize("key", ["timing", "noise", "noise_where"])
def test_a_battery_as_it_is_has_the_specs_and_files_that_it_had(key):
    spec = DatasetSpec("corrected", 100, ("go", "dms"), 3, "train", 0)
    assert key not in spec.to_json()
    assert (
        str(spec.path("d"))
        == f"d/corrected-dt100/tasks2-{hashlib.sha256(b'go dms').hexdigest()[:8]}/train-trials3-seed0.h5"
    )
