"""Which cells a configuration asks for, and under which names."""

import copy

import pytest

from lmrnn.errors import ConfigError, ConnectivityError
from lmrnn.networks import build_connectivity, network_size
from lmrnn.study.cells import cells_table
from lmrnn.study.config import complete, plain_schema, schema, validate_config
from lmrnn.study.grid import cells_of, find_cell

BASE = {
    "study": "s",
    "grid": {
        "connectivity": ["full", {"kind": "local", "radius": [2, 3]}],
        "tasks": [2],
        "trials_per_task": [4, 8],
        "seed": [0, 1],
    },
}


def cells(**changes):
    config = copy.deepcopy(BASE)
    grid = {**config["grid"], **changes.pop("grid", {})}
    return cells_of(validate_config({**config, **changes, "grid": grid}))


def stems(**changes):
    return {cell.stem for cell in cells(**changes)}


def test_a_block_is_the_product_of_its_axes():
    assert len(cells()) == 3 * 2 * 2
    assert len(cells(grid={"learning_rate": [0.1, 0.2], "neurons": [64, 100]})) == 12 * 4


def test_names_say_where_a_cell_stands_in_the_grid():
    stem = cells()[0].stem
    assert stem.startswith("full/tasks2/trials4/seed0-")
    assert len(stem.rsplit("-", 1)[1]) == 16


def test_a_wider_grid_keeps_the_old_cells():
    assert stems() < stems(grid={"seed": [0, 1, 2]})
    assert stems() < stems(grid={"trials_per_task": [4, 8, 16]})
    assert stems() < stems(grid={"connectivity": ["autapse", "full", {"kind": "local", "radius": [2, 3, 5]}]})


def test_a_new_axis_keeps_the_cells_at_the_value_that_was():
    assert stems() < stems(grid={"learning_rate": [0.001, 0.01]})
    assert stems() < stems(grid={"layout": ["padded", "stream"]})


def test_what_is_trained_changes_the_cell_and_how_does_not():
    assert stems().isdisjoint(stems(training={"learning_rate": 0.5}))
    assert stems().isdisjoint(stems(definition="released"))
    assert stems() == stems(compute={"threads": 7, "path": "dense"})
    assert stems() == stems(curves={"thresholds": [0.1]}, study="another")


def test_equal_numbers_written_differently_are_the_same_cell():
    assert stems(network={"leak": 1}) == stems(network={"leak": 1.0})
    assert stems(grid={"connectivity": [{"kind": "local", "radius": 2}]}) == stems(
        grid={"connectivity": [{"kind": "local", "radius": 2.0, "boundary": "open"}]}
    )


@pytest.fixture
def newer(monkeypatch):
    """The schema with a setting of each section that came after the first version."""
    wider = copy.deepcopy(plain_schema())
    wider["properties"]["training"]["properties"]["mood"] = {
        **{"enum": ["constant", "cosine"], "default": "constant", "x-since": 2},
    }
    wider["properties"]["network"]["properties"]["gain"] = {"type": "number", "default": 1.0, "x-since": 2}
    monkeypatch.setattr("lmrnn.study.config.plain_schema", lambda: wider)
    schema.cache_clear()
    yield
    schema.cache_clear()


def test_a_newer_setting_at_its_default_leaves_the_cells_as_they_were(newer, monkeypatch):
    now = stems() | stems(training={"mood": "constant"}, network={"gain": 1})
    wide = cells(grid={"mood": ["constant", "cosine"], "gain": [1, 2]})
    assert len(wide) == 4 * len(now)
    assert now < {cell.stem for cell in wide}
    rows = [{"seed": 0, **cell.spec["training"], "status": "completed"} for cell in wide]
    table = cells_table(rows)
    assert sorted(table["mood"].unique()) == ["constant", "cosine"]
    assert "gain" not in table
    assert complete("network", {"neurons": 4}).items() >= {"neurons": 4, "gain": 1.0}.items()
    monkeypatch.undo()
    schema.cache_clear()
    assert stems() == now


def test_settings_without_meaning_beside_others_make_no_further_cells():
    stray = {"sequence_length": 7, "reference_degree": 7, "warmup_steps": 7, "rate_floor": 0.7, "evaluations": 7}
    assert stems(training=stray) == stems()
    pairs = {"sequence_length": {"layout": "stream"}, "reference_degree": {"recurrent_rate": "in_degree"}}
    pairs |= {"warmup_steps": {"schedule": "warmup"}, "rate_floor": {"schedule": "cosine"}}
    pairs |= {"evaluations": {"evaluate_every": "log"}}
    for key, meaning in pairs.items():
        assert len(stems(training=meaning) | stems(training={**meaning, key: stray[key]})) == 2 * len(stems())


def test_a_rate_of_the_recurrent_weights_is_an_axis_of_numbers_and_a_word():
    mixed = cells(grid={"recurrent_rate": [1, 0.5, "in_degree"]})
    assert {cell.spec["training"].get("recurrent_rate") for cell in mixed} == {None, 0.5, "in_degree"}
    assert stems() < {cell.stem for cell in mixed}
    for wrong in ("indegree", -1, True, [0.5]):
        with pytest.raises(ConfigError, match=r"training.recurrent_rate.*allowed: .*in_degree"):
            validate_config({**BASE, "training": {"recurrent_rate": wrong}})
    with pytest.raises(ConfigError, match=r"training.evaluate_every.*allowed: .*log"):
        validate_config({**BASE, "training": {"evaluate_every": "often"}})


def test_a_setting_that_the_first_cells_leave_out_is_an_axis_of_the_table_all_the_same():
    rows = [
        {"seed": 0, **cell.spec["training"], "status": "completed"}
        for cell in cells(grid={"schedule": ["constant", "cosine"]})
    ]
    columns = list(cells_table(rows))
    assert columns.index("schedule") < columns.index("status")


def test_cells_of_version_0_1_are_the_same_cells():
    grid = {"connectivity": ["full", {"kind": "local", "radius": 3}], "tasks": [2], "trials_per_task": [4], "seed": [0]}
    found = cells_of(validate_config({"study": "s", "grid": grid, "training": {"layout": "stream"}}))
    # as that version named them
    assert [cell.old_stem for cell in found] == [
        "full/tasks2/trials4/seed0-9b786c37",
        "local-r3/tasks2/trials4/seed0-38dda927",
    ]


def test_blocks_are_joined_and_a_cell_counts_once():
    block = BASE["grid"]
    both = cells_of(validate_config({"study": "s", "grid": [block, {**block, "seed": [1, 2]}]}))
    assert {cell.spec["seed"] for cell in both} == {0, 1, 2}
    assert len(both) == 3 * 2 * 3


def test_data_seeds():
    assert {cell.spec["data_seed"] for cell in cells()} == {0, 1}
    assert {cell.spec["data_seed"] for cell in cells(data_seed="shared")} == {0}
    assert {cell.dataset("test").data_seed for cell in cells(seed_offset=5)} == {0}
    assert {cell.spec["seed"] for cell in cells(seed_offset=5)} == {5, 6}


def test_all_cells_share_validation_and_test_data():
    for split in ("validation", "test"):
        assert len({str(cell.dataset_path("r", split)) for cell in cells()}) == 1
    assert len({str(cell.dataset_path("r", "train")) for cell in cells()}) == 4


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"grid": {"tasks": ["dlygoo"]}}, "dlygo"),
        ({"grid": {"tasks": [["go", "nosuch"]]}}, "nosuch"),
        ({"grid": {"connectivity": [{"kind": "local", "radius": -1}]}}, "radius"),
        ({"grid": {"connectivity": [{"kind": "random", "density": 1.5}]}}, "density"),
        ({"grid": {"connectivity": ["loacl"]}}, "local"),
        ({"network": {"neurons": 250}}, "square"),
    ],
)
def test_a_point_of_the_grid_that_cannot_exist_is_named(change, says):
    with pytest.raises(ConfigError, match=says):
        cells(**change)


def test_a_cell_is_found_by_any_part_that_only_it_has():
    all_cells = cells()
    one = all_cells[3]
    for wanted in (one.hash, one.stem, str(one.path("results"))):
        assert find_cell(all_cells, wanted) == one
    with pytest.raises(ConfigError, match="12 cells fit"):
        find_cell(all_cells, "tasks2")
    with pytest.raises(ConfigError, match="0 cells fit"):
        find_cell(all_cells, "nosuch")


@pytest.mark.parametrize("boundary", ["open", "torus"])
@pytest.mark.parametrize("radius", [1, 2, 2.5, 4.6, 30])
@pytest.mark.parametrize("kind", ["local", "random", "small_world", "full_matched", "ring"])
@pytest.mark.parametrize("neurons", [36, 49])
def test_sizes_are_known_without_listing_synapses(kind, radius, boundary, neurons):
    spec = {"kind": kind, "radius": radius} | ({} if kind == "ring" else {"boundary": boundary})
    try:
        built = build_connectivity(spec, neurons)
    except ConnectivityError:
        pytest.skip("cannot be built at this size")
    assert network_size(spec, neurons) == (built.neurons, built.synapses)


def test_sizes_of_kinds_without_radius():
    assert network_size("full", 10**6) == (10**6, 10**12)
    assert network_size("autapse", 9) == (9, 9)
    assert network_size({"kind": "random", "density": 0.1}, 100) == (100, 1000)
