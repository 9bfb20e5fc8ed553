"""Names, grammar and order of the battery."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmrnn.errors import ConfigError, TaskNameError
from lmrnn.tasks import BASES, battery, battery_label, battery_names, check_setting, parse, period_names

DELAY_BASES = (
    "dlygo",
    "dlyanti",
    "dlydm1",
    "dlydm2",
    "ctxdlydm1",
    "ctxdlydm2",
    "multidlydm",
    "dms",
    "dnms",
    "dmc",
    "dnmc",
)


def test_base_tasks_in_published_order():
    order = (
        "go rtgo dlygo anti rtanti dlyanti dm1 dm2 ctxdm1 ctxdm2 multidm dlydm1 dlydm2 ctxdlydm1 ctxdlydm2 multidlydm"
    )
    assert " ".join(battery_names(20)) == f"{order} dms dnms dmc dnmc"


def test_battery_132_in_canonical_order():
    names = battery_names(132)
    assert names[20:42] == tuple(f"{base}int{sign}" for base in DELAY_BASES for sign in "rl")
    assert names[42:62] == tuple(f"{base}seqr" for base in BASES)
    assert names[62:82] == tuple(f"{base}seql" for base in BASES)
    composed = ("intrseqr", "intrseql", "intlseqr", "intlseql")
    assert names[82:126] == tuple(f"{base}{form}" for base in DELAY_BASES for form in composed)
    assert names[126:] == tuple(f"dlyanti{form}" for form in ("intr", "intl", *composed))


def test_126_names_differ():
    assert len(set(battery_names(126))) == 126
    assert set(battery_names(132)) == set(battery_names(126))


def test_seq60_is_the_bases_and_their_seq_tasks():
    assert set(battery_names("seq60")) == {base + form for base in BASES for form in ("", "seqr", "seql")}
    assert battery_names("seq60")[:20] == battery_names(20)


@given(st.integers(1, 132), st.integers(1, 132))
def test_smaller_battery_is_prefix(small, large):
    small, large = sorted((small, large))
    assert battery_names(large)[:small] == battery_names(small)


@given(st.sampled_from(battery_names(126)))
def test_name_says_what_the_task_is(name):
    task = parse(name)
    signs = {0: "", 1: "r", -1: "l"}
    forms = [("int" + signs[task.int_sign]) * abs(task.int_sign), ("seq" + signs[task.seq_sign]) * abs(task.seq_sign)]
    assert task.base + "".join(forms) == task.name == name
    assert period_names(task)[-1] == "decision"
    assert task.int_sign == 0 or task.base in DELAY_BASES


@pytest.mark.parametrize("base", DELAY_BASES)
def test_published_alias_of_intrseqr(base):
    assert parse(f"{base}intseq") == parse(f"{base}intrseqr")


def test_list_of_names_keeps_its_order():
    assert [task.name for task in battery(["dms", "go"])] == ["dms", "go"]
    assert battery("dms") == battery(["dms"])


def test_full_list_of_names_is_the_battery_again():
    assert battery_names(battery_names(132)) == battery_names(132)


def test_labels_tell_batteries_apart():
    assert battery_label(20) == battery_label(battery_names(20)) == "tasks20"
    assert battery_label("seq60") == "seq60"
    assert battery_label(["dms", "go"]) != battery_label(["go", "dms"])
    assert battery_label(["dms", "go"]).startswith("tasks2-")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("dlygint", "dlygointr"), ("Go", "go"), ("ctxdm3", "ctxdm2"), ("dm1intr", "dmsintr"), ("goseq", "goseqr")],
)
def test_unknown_name_gets_nearest_ones(name, nearest):
    with pytest.raises(TaskNameError, match=rf"{name}'; nearest names: .*\b{nearest}\b"):
        parse(name)


@pytest.mark.parametrize("name", ["", "dlygointrintl", "dlygoseqrintr", "gointr", "rtgointseq", " go", "go\n", 3, None])
def test_names_outside_the_grammar_are_refused(name):
    with pytest.raises(TaskNameError, match="no task is named"):
        parse(name)


@pytest.mark.parametrize("size", [0, -1, 133])
def test_battery_size_out_of_range(size):
    with pytest.raises(TaskNameError, match=f"1 to 132 tasks, not {size}"):
        battery(size)


@pytest.mark.parametrize("spec", [True, 20.0, None, {"go": 1}])
def test_battery_of_wrong_type(spec):
    with pytest.raises(TaskNameError, match="a battery is a number of tasks"):
        battery(spec)


def test_battery_of_no_tasks():
    with pytest.raises(TaskNameError, match="at least one task"):
        battery([])


def test_task_listed_twice():
    with pytest.raises(TaskNameError, match="listed too often: go"):
        battery(["go", "dms", "go"])


@pytest.mark.parametrize("dt", [1, 2, 4, 5, 10, 20, 25, 50, 100])
def test_time_steps_that_divide_100(dt):
    check_setting("corrected", dt)


@pytest.mark.parametrize("dt", [0, -20, 3, 30, 200, 20.0, True, "20"])
def test_other_time_steps_are_refused(dt):
    with pytest.raises(ConfigError, match="does not divide 100; allowed are 1, 2, 4, 5, 10"):
        check_setting("corrected", dt)


def test_unknown_definition():
    with pytest.raises(ConfigError, match="'correct' is none of corrected, released"):
        check_setting("correct", 100)
