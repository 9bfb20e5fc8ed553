"""Networks whose synapses a file lists: from any form of file to a cell of its own."""

import numpy as np
import pandas as pd
import pytest
import torch

from lmrnn.errors import ConfigError, ConnectivityError
from lmrnn.networks import build_connectivity, complete_connectivity, connectivity_label, network_size
from lmrnn.steps import collect_cells, compute_curves, draw_figure
from lmrnn.study.cells import read_cell
from lmrnn.study.config import load_config, validate_config
from lmrnn.study.grid import cells_of
from lmrnn.training.run import run_cell
from lmrnn.training.state import restore_network

POST, PRE = np.array([2, 0, 1, 2]), np.array([0, 1, 1, 3])
MATRIX = np.zeros((4, 4))
MATRIX[POST, PRE] = [0.5, 1, -2, 1]


def write_csv(path):
    path.write_text("pre, post\n" + "".join(f"{j},{i}\n" for i, j in zip(POST, PRE, strict=True)))


def write_sparse(form):
    """What scipy.sparse.save_npz writes, with an explicit zero."""
    order = np.lexsort((PRE, POST) if form == "csr" else (POST, PRE))
    row, column = np.append(POST[order], 3), np.append(PRE[order], 3)
    data = np.append(MATRIX[POST, PRE][order], 0.0)
    major, minor = (row, column) if form == "csr" else (column, row)
    parts = {"indptr": np.searchsorted(major, np.arange(5)), "indices": minor}
    if form == "coo":
        parts = {"row": row, "col": column}
    return lambda path: np.savez(path, format=form.encode("ascii"), shape=(4, 4), data=data, **parts)


WRITERS = {
    "matrix.npy": lambda path: np.save(path, MATRIX),
    "truth.npy": lambda path: np.save(path, MATRIX != 0),
    "mask.npz": lambda path: np.savez(path, mask=MATRIX),
    "pairs.npz": lambda path: np.savez(path, post=POST, pre=PRE, positions=np.zeros((4, 2)), signs=[1, 1, -1, 1]),
    "csr.npz": write_sparse("csr"),
    "csc.npz": write_sparse("csc"),
    "coo.npz": write_sparse("coo"),
    "list.csv": write_csv,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_form_of_file_gives_its_pairs_and_the_same_digest(name, tmp_path):
    WRITERS[name](tmp_path / name)
    spec = complete_connectivity({"kind": "file", "path": str(tmp_path / name)})
    built = build_connectivity(spec, 4)
    assert sorted(zip(built.post.tolist(), built.pre.tolist(), strict=True)) == [(0, 1), (1, 1), (2, 0), (2, 3)]
    assert network_size(spec, 4) == (4, 4)
    np.save(tmp_path / "again.npy", MATRIX)
    again = complete_connectivity({"kind": "file", "path": str(tmp_path / "again.npy")})
    assert spec["sha256"] == again["sha256"]
    assert "path" not in spec, "a moved folder is the same cell"
    assert complete_connectivity(spec) == spec


def refusal(write, tmp_path, name="wrong.npz", neurons=4):
    write(tmp_path / name)
    with pytest.raises(ConnectivityError) as caught:
        build_connectivity({"kind": "file", "path": str(tmp_path / name)}, neurons)
    assert name.split(".")[0] in str(caught.value)
    return str(caught.value)


def test_what_is_no_mask_is_refused_with_its_name_and_what_is_allowed(tmp_path):
    def text(words):
        return lambda path: path.write_text(words)

    assert "stands twice" in refusal(text("post,pre\n1,2\n1,2\n"), tmp_path, "twice.csv")
    assert "count from 0" in refusal(text("post,pre\n-1,2\n"), tmp_path, "negative.csv")
    assert "is of 8 or more neurons" in refusal(text("post,pre\n1,7\n"), tmp_path, "large.csv")
    assert "first line" in refusal(text("from,to\n1,2\n"), tmp_path, "header.csv")
    assert "no mask" in refusal(text("post,pre\n1,2,3\n4\n"), tmp_path, "ragged.csv")
    assert "no mask" in refusal(text("post,pre\n1,x\n"), tmp_path, "words.csv")
    assert "no mask" in refusal(text("nonsense"), tmp_path, "foreign.npz")
    assert "'.mat'" in refusal(text("nonsense"), tmp_path, "other.mat")
    assert "(2, 3)" in refusal(lambda path: np.save(path, np.ones((2, 3))), tmp_path, "oblong.npy")
    assert "not finite" in refusal(lambda path: np.save(path, np.full((2, 2), np.nan)), tmp_path, "nan.npy")
    assert "named 'weights'" in refusal(lambda path: np.savez(path, mask=MATRIX, weights=np.ones(4)), tmp_path)
    for wrong in (
        [1, -1, 0, 1],
        [1, -1, 1],
        1,
        [[1, -1, 1, 1]],
        [1, np.nan, 1, 1],
        ["+", "-", "+", "+"],
        [-128, 1, 1, 1],
    ):
        said = refusal(lambda path, signs=wrong: np.savez(path, mask=MATRIX, signs=signs), tmp_path, "signs.npz")
        assert "signs are of" in said
        assert "allowed: 1 or -1 for each of 4 neurons" in said
    both = {"post": [0], "pre": [5], "signs": [1, -1]}
    assert "signs of 2 neurons, but one has the number 5" in refusal(lambda path: np.savez(path, **both), tmp_path)
    assert "Object arrays" in refusal(lambda path: np.save(path, np.array([None])), tmp_path, "pickled.npy")
    assert "is of 4 neurons, network.neurons is 9" in refusal(lambda path: np.save(path, MATRIX), tmp_path, "m.npy", 9)
    with pytest.raises(ConnectivityError, match="no file"):
        build_connectivity({"kind": "file", "path": str(tmp_path / "missing.npz")}, 4)
    with pytest.raises(ConnectivityError, match="'path' is missing"):
        build_connectivity("file", 4)


@pytest.mark.parametrize("name", WRITERS)
def test_a_damaged_file_is_one_message_or_a_mask(name, tmp_path):
    WRITERS[name](tmp_path / name)
    whole, rng = (tmp_path / name).read_bytes(), np.random.default_rng(0)
    for number in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 1 + number % 4):
            damaged[place] = rng.integers(256)
        path = tmp_path / f"{number}-{name}"
        path.write_bytes(damaged[: rng.integers(len(whole))] if number % 5 == 0 else damaged)
        message = ""
        try:
            built = build_connectivity({"kind": "file", "path": str(path)}, 4)
            assert built.synapses == network_size({"kind": "file", "path": str(path)}, 4)[1]
        except ConnectivityError as error:
            message = str(error)
        assert not message or f"{number}-{path.stem.split('-')[1]}" in message


CONFIG = """
study: own
results: {results}
validation_trials: 2
test_trials: 2
network: {{neurons: 16}}
training: {{steps: 2, evaluate_every: 1}}
grid:
  connectivity:
    - {{kind: file, path: [first.npy, second.npy]}}
    - {{kind: distance, length: 1.5, density: 0.2}}
  tasks: [2]
  trials_per_task: [4]
  seed: [0]
"""


@pytest.fixture
def config(tmp_path):
    rng = np.random.default_rng(0)
    for name, density in (("first", 0.3), ("second", 0.3)):
        np.save(tmp_path / f"{name}.npy", rng.random((16, 16)) < density)
    path = tmp_path / "own.yaml"
    path.write_text(CONFIG.format(results=tmp_path / "results"))
    return path


def test_two_mask_files_go_from_the_config_to_two_curves(config, tmp_path, monkeypatch):
    monkeypatch.chdir("/")  # paths are relative to the configuration
    study = load_config(config)
    cells = cells_of(study)
    results = tmp_path / "results"
    for cell in cells:
        with open(tmp_path / "log", "w") as log:
            assert run_cell(cell, results, study["compute"], log) == "completed"
    collect_cells(cells, results, tmp_path / "cells.csv")
    curve = tmp_path / "training_speed.csv"
    compute_curves(cells, study, tmp_path / "cells.csv", [str(curve)])
    labels = {cell.connectivity_label for cell in cells}
    assert len(labels) == 3
    assert set(pd.read_csv(curve)["connectivity"]) == {"file-first", "file-second", "distance-l1.5-d0.2"}
    assert sorted(label.split("-")[1] for label in labels) == ["first", "l1.5", "second"]
    draw_figure("training_speed", [curve], tmp_path / "training_speed.png", "okabe_ito")
    assert (tmp_path / "training_speed.png").stat().st_size > 10_000


def test_signs_of_a_mask_go_from_its_file_to_a_result_that_is_read_without_it(config, tmp_path, monkeypatch):
    mask, signs = np.load(tmp_path / "first.npy"), np.where(np.arange(16) % 3, 1.0, -1.0)
    np.savez(tmp_path / "first.npz", mask=mask, signs=signs)
    np.savez(tmp_path / "second.npz", mask=mask, signs=-signs)
    config.write_text(config.read_text().replace(".npy", ".npz"))
    first, second, _ = cells_of(load_config(config))
    assert first.spec["connectivity"]["sha256"] == second.spec["connectivity"]["sha256"]
    assert first.connectivity_label.split("-")[2:] != second.connectivity_label.split("-")[2:]
    with open(tmp_path / "log", "w") as log:
        assert run_cell(first, tmp_path / "results", load_config(config)["compute"], log) == "completed"
    monkeypatch.setattr("lmrnn.networks.masks._ARRAYS", {})
    monkeypatch.setattr("lmrnn.networks.masks._KNOWN", {})
    for name in ("first", "second"):
        (tmp_path / f"{name}.npz").unlink()
    network = restore_network(read_cell(first.path(tmp_path / "results")))
    assert network.signs.tolist() == signs.tolist()
    weights = network.recurrent.detach() * network.signs[network.pre]
    assert torch.all(weights >= 0)
    assert (weights > 0).any()


def test_signs_and_a_share_or_negative_states_are_refused(config, tmp_path):
    np.savez(tmp_path / "first.npz", mask=np.load(tmp_path / "first.npy"), signs=np.ones(16, int))
    text = config.read_text().replace("first.npy", "first.npz")
    for setting, message in (("excitatory: 0.8", "has signs; leave one"), ("nonlinearity: tanh", "tanh are negative")):
        config.write_text(text.replace("neurons: 16", f"neurons: 16, {setting}"))
        with pytest.raises(ConfigError, match=message):
            cells_of(load_config(config))


def test_a_changed_mask_is_another_cell_and_a_moved_study_the_same(config, tmp_path):
    before = [cell.stem for cell in cells_of(load_config(config))]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("own.yaml", "first.npy", "second.npy"):
        (tmp_path / name).rename(elsewhere / name)
    config = elsewhere / "own.yaml"
    assert [cell.stem for cell in cells_of(load_config(config))] == before
    mask = np.load(elsewhere / "first.npy")
    mask[0, 0] = ~mask[0, 0]
    np.save(elsewhere / "first.npy", mask)
    after = [cell.stem for cell in cells_of(load_config(config))]
    assert [a == b for a, b in zip(after, before, strict=True)] == [False, True, True]


def test_a_configuration_names_the_line_of_a_mask_that_is_none(config, tmp_path):
    (tmp_path / "second.npy").write_text("nonsense")
    with pytest.raises(ConfigError, match=r"own\.yaml: line 10: .*second\.npy is no mask: it is no \.npy file"):
        load_config(config)


def test_a_cell_of_a_mask_knows_its_pairs_after_a_job_has_read_the_configuration(config, run_python):
    cell = cells_of(load_config(config))[0]
    plain = dict(load_config(config))
    assert validate_config(plain)["grid"] == plain["grid"]
    done = run_python(
        "from lmrnn.study.config import validate_config; from lmrnn.networks import build_connectivity\n"
        f"validate_config({plain!r}); print(build_connectivity({cell.spec['connectivity']!r}, 16).synapses)"
    )
    assert done.stdout.strip() == str(cell.spec["connectivity"]["synapses"]), done.stderr


@pytest.mark.parametrize("profile", ["exponential", "gaussian"])
@pytest.mark.parametrize("boundary", ["open", "torus"])
def test_synapses_become_rarer_with_distance(profile, boundary):
    spec = {"kind": "distance", "length": 2, "density": 0.1, "profile": profile, "boundary": boundary}
    spec["self_connections"] = False
    built = build_connectivity(spec, 400, seed=1)
    assert built.synapses == network_size(spec, 400)[1] == 16000
    apart = np.abs(np.subtract(np.divmod(built.post, 20), np.divmod(built.pre, 20)))
    apart = np.minimum(apart, 20 - apart) if boundary == "torus" else apart
    places = np.array(np.divmod(np.arange(400), 20))
    every = np.abs(places[:, :, None] - places[:, None]).reshape(2, -1)
    every = np.minimum(every, 20 - every) if boundary == "torus" else every
    edges = np.arange(0, 11, 2)
    shares = np.histogram(np.hypot(*apart), edges)[0] / np.histogram(np.hypot(*every), edges)[0]
    assert np.all(np.diff(shares) < 0)
    assert shares[0] > 20 * shares[-1]


def test_of_few_synapses_each_pair_is_drawn_by_its_weight():
    spec = {"kind": "distance", "length": 1.0, "density": 1 / 81, "self_connections": False}
    counts = sum(build_connectivity(spec, 9, seed).matrix() for seed in range(4000))
    places = np.array(np.divmod(np.arange(9), 3))
    apart = np.hypot(*(places[:, :, None] - places[:, None]))
    expected = np.exp(-apart) / np.exp(-apart).sum() * 4000
    assert counts.sum() == 4000
    assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected))


def test_a_distance_kind_is_the_same_however_much_memory_is_used(monkeypatch):
    from lmrnn.networks import kinds

    spec = {"kind": "distance", "length": 2.5, "density": 0.1}
    whole = build_connectivity(spec, 256, seed=3)
    monkeypatch.setattr(kinds, "_MOST_AT_ONCE", 1000)
    parts = build_connectivity(spec, 256, seed=3)
    assert np.array_equal(whole.post, parts.post)
    assert np.array_equal(whole.pre, parts.pre)
    assert np.count_nonzero(whole.post == whole.pre) == 256
    assert connectivity_label(spec) == "distance-l2.5-d0.1"
    turned = {**spec, "profile": "gaussian", "boundary": "torus"}
    assert connectivity_label(turned) == "distance-l2.5-d0.1-gaussian-torus"
    assert build_connectivity({**spec, "density": 1}, 25).density == 1
