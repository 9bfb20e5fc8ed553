"""What a user types wrongly gets one line and a status, never a traceback."""

import pytest

from lmrnn.cli.main import main

NUMBERS = ["nan", "inf", "-inf", "-1", "0x10", "²", "٣", "1_0", "1e999", "9" * 400, "", " ", "one", "\udcff"]
WHOLE = [*NUMBERS, "1.5", "1e3", "+-1"]
CASES = [
    *((["plan", "--step-ms"], value) for value in [*NUMBERS, "0"]),
    *((["plan", option], value) for option in ("--pack", "--parallel") for value in [*WHOLE, "0"]),
    *((["plan", "--gpus"], value) for value in WHOLE),
    *((["status", "--interval"], value) for value in [*NUMBERS, "0"]),
    *((["show", "go", option], value) for option in ("--seed", "--dt") for value in WHOLE),
    *((["show", "go", "--dt"], value) for value in ("0", "7", "1000000")),
    *((["tasks", "--battery"], value) for value in [*WHOLE, "0", "99999", "go,go", ",", "nothing"]),
    (["show"], "nothing"),
    (["show", "go", "--definition"], "other"),
    (["train", "--cell"], "nothing"),
    (["unknown"], "x"),
]


@pytest.mark.parametrize(("words", "value"), CASES, ids=lambda part: ascii(part)[:40])
def test_a_wrong_argument_gets_one_line(words, value, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    last = f"{words[-1]}={value}" if words[-1].startswith("--") else value
    with pytest.raises(SystemExit) as left:
        main([*words[:-1], last] if words[-1].startswith("--") else [*words, last])
    said = capfd.readouterr().err
    assert left.value.code in (1, 2)
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert "mistake in lmrnn" not in said
