"""Analysis of networks built by hand, whose inner workings are known."""

import numpy as np
import pandas as pd
import pytest
import torch

from lmrnn.analysis.rotation import rotations
from lmrnn.analysis.runs import moments, run_task
from lmrnn.analysis.tables import analyse_study, choose_networks, summary
from lmrnn.analysis.units import unit_tables
from lmrnn.networks import LMRNN, build_connectivity
from lmrnn.seeds import stream
from lmrnn.study.cells import CellResult
from lmrnn.tasks import parse, sample
from lmrnn.training.state import restore_network
from tests.drawing import beyond, draw_all, smallest_font
from tests.synthetic_cells import AUTAPSE, FULL, LOCAL3, LOCAL5, cell, table_of

GATE = 50.0  # stronger than any activity: what it inhibits is silent


def network_of(tasks, connectivity, neurons, recurrent, inputs, bias, readout, fixate=0.1):
    """An LMRNN with given weights: recurrent (N, N), inputs (N, 33), bias (N,), readout (17, N)."""
    network = LMRNN(build_connectivity(connectivity, neurons), len(tasks))
    synapses = network.connectivity
    with torch.no_grad():
        network.recurrent.copy_(torch.as_tensor(recurrent[synapses.post, synapses.pre]))
        network.input.copy_(torch.as_tensor(inputs))
        network.rule.zero_()
        network.bias.copy_(torch.as_tensor(bias))
        network.readout.copy_(torch.as_tensor(readout))
        network.readout_bias.zero_()
        network.readout_bias[0] = fixate
    return network


def spec_of(tasks, connectivity, neurons):
    network = {"neurons": neurons, "nonlinearity": "relu", "leak": 1.0, "initialisation": "scaled_identity"}
    spec = {"tasks": list(tasks), "definition": "corrected", "dt": 100, "seed": 0, "connectivity": connectivity}
    return {**spec, "network": {**network, "initial_scale": 0.5, "recurrent_noise": 0.0}}


def ring_network(tasks, step=1):
    """Units 0..15 hold the stimulus while fixation is on; 16..31 then take over and pass on by `step`."""
    eye, turn = np.eye(16), np.roll(np.eye(16), step, axis=0)
    recurrent = np.block([[eye, np.zeros((16, 16))], [eye, turn]])
    inputs, bias, readout = np.zeros((32, 33)), np.zeros(32), np.zeros((17, 32))
    inputs[:16, 1:17] = inputs[:16, 17:33] = eye
    inputs[:16, 0], bias[:16] = GATE, -GATE
    inputs[16:, 0] = -GATE
    readout[1:, 16:] = eye
    return network_of(tasks, {"kind": "full"}, 32, recurrent, inputs, bias, readout)


def test_a_ring_that_turns_one_step_per_time_step_is_measured_as_such():
    tasks = ["goseqr", "dlygoseql", "dlygo"]
    network, spec = ring_network(tasks), spec_of(tasks, {"kind": "full"}, 32)
    rows = {row["task"]: row for row, _, _ in rotations(network, spec)}
    assert rows["goseqr"]["advance"] == pytest.approx(2 * np.pi / 16)
    assert rows["goseqr"]["share"] == pytest.approx(1)
    assert rows["goseqr"]["coherence"] == pytest.approx(1)
    # it answers every trial right, and its answers and its pattern turn as its state does
    assert (rows["goseqr"]["right_trials"], rows["goseqr"]["trials"]) == (128, 128)
    for otherwise in ("right_share", "answer_share", "pattern_share", "pattern_coherence"):
        assert rows["goseqr"][otherwise] == pytest.approx(1), otherwise
    assert (rows["dlygoseql"]["right_trials"], rows["dlygoseql"]["answer_share"]) == (0, pytest.approx(-1))
    assert np.isnan(rows["dlygoseql"]["right_share"])
    # the same ring turns the wrong way for seql, and turns where dlygo wants it to stand still
    assert rows["dlygoseql"]["target"] == pytest.approx(-2 * np.pi / 16)
    assert rows["dlygoseql"]["advance"] == pytest.approx(2 * np.pi / 16)
    assert (rows["dlygo"]["what"], rows["dlygo"]["target"]) == ("none", 0)
    assert rows["dlygo"]["advance"] == pytest.approx(2 * np.pi / 16)


def test_a_network_that_turns_in_half_of_its_trials_has_half_the_share_but_all_of_it_where_it_is_right():
    # stimuli on ring 1 are handed on to a ring that turns, those on ring 2 to one that stands still
    eye, turn, zero = np.eye(16), np.roll(np.eye(16), 1, axis=0), np.zeros((16, 16))
    blocks = [[eye, zero, zero, zero], [zero, eye, zero, zero], [eye, zero, turn, zero], [zero, eye, zero, eye]]
    inputs, bias, readout = np.zeros((64, 33)), np.zeros(64), np.zeros((17, 64))
    inputs[:16, 1:17], inputs[16:32, 17:33] = eye, eye
    inputs[:32, 0], bias[:32] = GATE, -GATE
    inputs[32:, 0] = -GATE
    readout[1:, 32:48] = readout[1:, 48:] = eye
    network = network_of(["goseqr"], {"kind": "full"}, 64, np.block(blocks), inputs, bias, readout)
    row, found, place = next(rotations(network, spec_of(["goseqr"], {"kind": "full"}, 64), trials=400))
    right = row["right_trials"] / row["trials"]
    assert right == pytest.approx(0.5, abs=0.1)  # the ring is drawn
    assert row["share"] == pytest.approx(right, abs=0.03)
    assert row["answer_share"] == pytest.approx(right)
    assert row["right_share"] == pytest.approx(1, abs=0.03)
    assert len(found.turns) == len(place)


def test_a_ring_that_turns_during_the_delay_serves_int():
    # turns while fixation is on: 5 steps of stimulus smear it, but every step of the delay is one position
    tasks = ["dlygointr", "dlygointl"]
    inputs, readout = np.zeros((16, 33)), np.zeros((17, 16))
    inputs[:, 1:17] = inputs[:, 17:33] = np.eye(16)
    readout[1:] = np.eye(16)
    network = network_of(tasks, {"kind": "full"}, 16, np.roll(np.eye(16), 1, axis=0), inputs, np.zeros(16), readout)
    rows = {row["task"]: row for row, _, _ in rotations(network, spec_of(tasks, {"kind": "full"}, 16))}
    assert rows["dlygointr"]["what"] == "int"
    assert rows["dlygointr"]["target"] == pytest.approx(2 * np.pi / 16)
    assert rows["dlygointr"]["share"] == pytest.approx(1, abs=0.02)
    assert rows["dlygointl"]["target"] == pytest.approx(-2 * np.pi / 16)
    assert np.isnan(rows["dlygointr"]["answer_share"])  # nothing is to be answered during a delay
    assert rows["dlygointr"]["pattern_share"] == pytest.approx(1, abs=0.02)


def test_known_blocks_are_the_clusters_found_and_are_modular_on_the_sheet():
    # left half of an 8 x 8 sheet sees ring 1, right half ring 2; the last row sees nothing
    tasks = ["dm1", "dm2"]
    row, column = np.divmod(np.arange(64), 8)
    left, rng = column < 4, stream(0, "blocks")
    inputs = np.zeros((64, 33))
    inputs[left, 1:17] = rng.uniform(0.2, 1, (32, 16))
    inputs[~left, 17:33] = rng.uniform(0.2, 1, (32, 16))
    inputs[row == 7] = 0
    local = {"kind": "local", "radius": 2}
    network = network_of(
        tasks, local, 64, 0.1 * np.ones((64, 64)) * (left[:, None] == left), inputs, np.zeros(64), np.zeros((17, 64))
    )
    with torch.no_grad():
        network.recurrent[torch.as_tensor(network.connectivity.post >= 56)] = 0
    units, tuning, clusters = unit_tables(network, spec_of(tasks, local, 64))
    assert units["active"].tolist() == (row < 7).tolist()
    assert units.loc[row == 7, "cluster"].eq(-1).all()
    active = units[units["active"]]
    assert len(set(zip(left[row < 7], active["cluster"], strict=True))) == 2
    assert clusters.iloc[0][["active", "clusters"]].tolist() == [56, 2]
    assert clusters["silhouette"].iloc[0] == pytest.approx(1)
    # of 7 x 7 horizontal, 6 x 8 vertical and 2 x 6 x 7 diagonal links, 7 and 12 cross the middle
    assert clusters["sheet_share"].iloc[0] == pytest.approx(1 - 19 / (49 + 48 + 84))
    assert clusters["sheet_p"].iloc[0] < 0.01
    assert clusters["synapses_share"].iloc[0] == 1
    assert (active["main_task"] == np.where(left[row < 7], "dm1", "dm2")).all()
    assert tuning.groupby("unit")["variance"].max().isin([0, 1]).all()


def test_an_autapse_integrator_remembers_for_ever_and_every_unit_serves_its_position():
    tasks = ["dlygo", "dlyanti"]
    inputs, bias, readout = np.zeros((16, 33)), np.zeros(16), np.zeros((17, 16))
    inputs[:, 1:17] = inputs[:, 17:33] = np.eye(16)
    readout[1:] = np.eye(16)
    readout[0] = 0
    inputs[:, 0], bias = 0, bias
    network = network_of(tasks, {"kind": "autapse"}, 16, np.eye(16), inputs, bias, readout)
    units, tuning, _ = unit_tables(network, spec_of(tasks, {"kind": "autapse"}, 16), trials=400)
    assert units["self_weight"].eq(1).all()
    assert np.isinf(units["time_constant_ms"]).all()
    losses = tuning[tuning["task"] == "dlygo"].set_index("unit")["loss"]
    assert losses.sum() == pytest.approx(1)  # each unit is needed for its own position, and for no other
    assert losses.between(0.02, 0.12).all()
    # it reports where the stimulus was, which is wrong throughout in the anti task: nothing to lose
    assert tuning[tuning["task"] == "dlyanti"]["loss"].abs().max() <= 0.0
    assert units["lesioned_task"].eq("dlygo").all()


def test_states_belong_to_the_trials_they_were_run_on():
    network, spec = ring_network(["dlygointr"]), spec_of(["dlygointr"], {"kind": "full"}, 32)
    run = run_task(network, parse("dlygointr"), 0, spec, 20)
    assert run.states.shape == (len(run.trials.labels), 32)
    for trial in range(20):
        rows = run.trials.rows(trial)
        assert not run.states[rows][: run.trials.decision[trial], 16:].any()
        assert run.states[rows][run.trials.decision[trial], 16:].any()
        assert run.time[rows].tolist() == list(range(run.trials.length[trial]))


def test_moments_compare_equal_times_since_the_onset_of_a_period():
    trials = sample(parse("dlygointr"), 50, stream(0, "moments"))
    moment = moments(trials)
    for trial in range(50):
        own = moment[trials.rows(trial)]
        fixation, stimulus, delay, decision = trials.periods(trial)
        assert (own[: fixation.stop] == -1).all()
        assert own[decision.start] == 300_000
        assert own[stimulus.start : stimulus.stop].tolist() == list(range(100_000, 100_005))
        assert own[delay.start : delay.stop].tolist() == [200_000 + i for i in range(delay.stop - delay.start)]


def trained_like(connectivity, tasks, seed, learning_rate=1e-3, top=0.8):
    """A cell with random weights on a 6 x 6 sheet, of which only the accuracies are invented."""
    base = cell(connectivity, [0, top], seed=seed, tasks=tasks, learning_rate=learning_rate, neurons=36)
    spec = {**base.spec, "network": spec_of([], connectivity, 36)["network"]}
    network = LMRNN(
        build_connectivity(connectivity, 36, seed), tasks, initialisation="gaussian", initial_scale=0.8,
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    weights = {name: parameter.detach().numpy() for name, parameter in network.named_parameters()}
    weights |= {"post": network.connectivity.post, "pre": network.connectivity.pre}
    return CellResult(spec, base.status, base.history, base.test, weights, base.provenance)


def test_of_each_kind_the_networks_trained_longest_are_analysed():
    cells = [trained_like(kind, 50, 0) for kind in (LOCAL5, AUTAPSE, FULL)]
    longer = [trained_like(kind, 50, 0, top=0.7) for kind in (LOCAL3, AUTAPSE)]
    for one in longer:
        one.spec["training"] = {**one.spec["training"], "steps": 3 * one.spec["training"]["steps"], "evaluate_every": 7}
    table = table_of(cells + longer)
    chosen = choose_networks(table, cells + longer)
    assert dict(zip(chosen["connectivity"], chosen["cell"], strict=True)) == {"autapse": 4, "full": 2, "local-r3": 3}
    panels = dict(zip(chosen["connectivity"], chosen["panel"], strict=True))
    assert panels["autapse"] == panels["local-r3"] != panels["full"]
    assert all(name.endswith("steps") for name in panels.values())


def test_the_largest_padded_data_size_is_looked_into_where_larger_ones_are_streamed():
    cells = []
    for size, layout, top in ((8, "padded", 0.9), (32, "padded", 0.5), (128, "stream", 0.7)):
        one = trained_like(FULL, 50, 0, top=top)
        one.spec.update(trials_per_task=size, training={**one.spec["training"], "layout": layout})
        cells.append(one)
    assert choose_networks(table_of(cells), cells)["cell"].tolist() == [1]


def test_a_study_is_analysed_at_each_kinds_best_network(tmp_path):
    cells = [trained_like(LOCAL3, 50, seed, top=0.9) for seed in range(2)]
    cells += [trained_like(kind, 50, 0) for kind in (LOCAL5, AUTAPSE, FULL)]
    cells += [trained_like(LOCAL3, 20, 0, top=0.99), trained_like(LOCAL3, 50, 0, learning_rate=1e-2, top=0.1)]
    table = table_of(cells)
    chosen = choose_networks(table, cells)
    assert list(chosen["connectivity"]) == ["autapse", "full", "local-r3", "local-r3"]
    assert set(chosen["learning_rate"]) == {1e-3}
    found = analyse_study(table, cells, lambda path: cells[int(path.stem)])
    assert found["clusters"][["connectivity", "seed"]].apply(tuple, axis=1).tolist() == [
        ("autapse", 0), ("full", 0), ("local-r3", 0), ("local-r3", 1)
    ]  # fmt: skip
    assert set(found["rotation"]["what"]) == {"seq", "int", "none"}
    assert len(found["units"]) == 3 * 36
    assert len(found["tuning"]) == 3 * 36 * 50
    assert set(found["planes"]["connectivity"]) == {"autapse", "full", "local-r3"}
    for name, one in found.items():
        one.to_csv(tmp_path / f"{name}.csv", index=False)
    made = draw_all({name: pd.read_csv(tmp_path / f"{name}.csv") for name in found}, tmp_path)
    assert_figures_hold(found, **made)


def assert_figures_hold(found, sheets, tuning, autapses, rings):
    """What is drawn is what the tables say."""
    for figure in (sheets, tuning, autapses, rings):
        assert beyond(figure) <= 0.01
        assert smallest_font(figure) >= 7
        assert figure.get_size_inches()[0] <= 7
    units, rotation = found["units"], found["rotation"]
    for axes, (_, part) in zip(sheets.axes, units.groupby("connectivity", sort=False), strict=False):
        np.testing.assert_array_equal(
            axes.images[0].get_array() - 1, part.pivot(index="row", columns="column", values="cluster")
        )
    for axes, (name, part) in zip(tuning.axes, found["tuning"].groupby("connectivity", sort=False), strict=False):
        active = units[(units["connectivity"] == name) & units["active"]]
        assert axes.images[0].get_array().shape == (50, len(active))
        drawn = part[part["unit"].isin(active["unit"])]["variance"]
        assert axes.images[0].get_array().sum() == pytest.approx(drawn.sum())
    for axes, kind in zip(autapses.axes[::2], ("autapse", "local"), strict=True):
        assert sum(bar.get_height() for bar in axes.patches) == (units["kind"] == kind).sum()
    for axes, kind in zip(autapses.axes[1::2], ("autapse", "local"), strict=True):
        lost = found["tuning"][found["tuning"]["kind"] == kind]
        assert sum(bar.get_height() for bar in axes.patches) == (lost["loss"] >= 0.01).sum()
        assert [text.get_text() for text in axes.texts] == ["base", "int", "seq"]
    lower = next(axes for axes in rings.axes if "angle" in axes.get_ylabel())
    points = [line for line in lower.get_lines() if line.get_marker() != "None"]
    filled = [line for line in points if line.get_markerfacecolor() != "none"]
    shown = sorted(value for line in filled for value in line.get_ydata())
    expected = rotation.groupby(["what", "connectivity", "seed"])["share"].mean() * 22.5
    np.testing.assert_allclose(shown, sorted(expected))


def test_what_was_found_is_told_in_words():
    cells = [trained_like(LOCAL3, 50, 0), trained_like(AUTAPSE, 50, 1)]
    found = analyse_study(table_of(cells), cells, lambda path: cells[int(path.stem)])
    lines = summary(found)
    assert [line.split(":")[0] for line in lines] == ["autapse, seed 1", "local-r3, seed 0"]
    for line, kind in zip(lines, ("autapse", "local"), strict=True):
        row, turned = (found[name][found[name]["kind"] == kind] for name in ("clusters", "rotation"))
        row, share = row.iloc[0], turned[turned["what"] == "seq"]["share"].mean()
        assert f"{row['active']} active units in {row['clusters']} clusters" in line
        assert f"in seq tasks the state turns by {share:.2f} of the target's angle" in line
    lost = [cell(FULL, [0.1], status="diverged")]
    assert summary(analyse_study(table_of(lost), lost, lambda path: pytest.fail("nothing to read"))) == []


def test_a_network_that_explodes_is_left_out_and_the_others_are_looked_into(tmp_path):
    exploding, sound = trained_like(LOCAL3, 50, 0), trained_like(AUTAPSE, 50, 0)
    exploding.weights["recurrent"] = np.full_like(exploding.weights["recurrent"], 1e6)  # finite, as its file allows
    for cells, left in (([exploding, sound], ["autapse"]), ([exploding], [])):
        with pytest.warns(UserWarning, match="left out: local-r3, seed 0: states on .* are not finite"):
            found = analyse_study(table_of(cells), cells, lambda path, cells=cells: cells[int(path.stem)])
        assert [line.split(",")[0] for line in summary(found)] == left
        draw_all(found, tmp_path)


def test_networks_on_no_sheet_have_the_columns_of_those_on_one_and_are_told_and_drawn(tmp_path):
    def look_into(*cells):
        return analyse_study(table_of(cells), list(cells), lambda path: cells[int(path.stem)])

    found = look_into(trained_like({"kind": "full_matched", "radius": 3, "boundary": "open"}, 50, 0))
    on_a_sheet = look_into(trained_like(LOCAL3, 50, 0))
    for name, table in on_a_sheet.items():
        assert list(found[name]) == list(table), name
    assert found["clusters"]["sheet_share"].isna().all()
    assert [line for line in summary(found) if "neighbours" in line] == []
    assert "neighbours alike" in summary(on_a_sheet)[0]
    draw_all(found, tmp_path)


def test_a_study_without_networks_to_look_into_still_draws(tmp_path):
    lost = [cell(LOCAL3, [0.1], status="diverged", steps=100)]
    found = analyse_study(table_of(lost), lost, lambda path: pytest.fail("nothing to read"))
    assert all(table.empty for table in found.values())
    draw_all(found, tmp_path)


def test_a_restored_network_has_the_weights_of_its_cell():
    result = trained_like(LOCAL3, 20, 4)
    for name, parameter in restore_network(result).named_parameters():
        np.testing.assert_array_equal(parameter.detach().numpy(), result.weights[name])
