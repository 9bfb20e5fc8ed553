"""Evaluations of a training as a CSV file and as TensorBoard's event files, also of one that was interrupted."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from lmrnn.errors import Interrupted
from lmrnn.training.state import Compute
from lmrnn.training.train import train
from lmrnn.training.watching import Places
from tests.small_data import cell_spec, datasets, told_to_stop

SPEC = cell_spec(steps=12, evaluate_every=4)


@pytest.mark.parametrize("stop", [None, 6])
def test_all_evaluations_are_there_also_after_an_interruption(tmp_path, stop):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    places = Places(tmp_path / "logs" / "cell.csv", tmp_path / "events")
    compute, path = Compute(checkpoint_seconds=1e9, watch=places), tmp_path / "checkpoint.h5"
    if stop:
        with told_to_stop(stop), pytest.raises(Interrupted):
            train(SPEC, *datasets(), path, lambda line: None, compute)
    result = train(SPEC, *datasets(), path, lambda line: None, compute)
    table = pd.read_csv(places.csv)
    assert list(table["step"]) == [0, 4, 8, 12]
    np.testing.assert_allclose(table["loss"], result.history["loss"], rtol=1e-12)
    by_task = table[["task_decision_accuracy/go", "task_decision_accuracy/rtgo"]]
    np.testing.assert_allclose(by_task, result.history["task_decision_accuracy"])
    events = EventAccumulator(str(places.tensorboard)).Reload()
    seen = events.Scalars("decision_accuracy")
    assert [one.step for one in seen] == [0, 4, 8, 12]
    np.testing.assert_allclose([one.value for one in seen], result.history["decision_accuracy"], rtol=1e-6)
    assert "task_decision_accuracy/rtgo" in events.Tags()["scalars"]


def test_without_tensorboard_it_is_said_what_to_do_and_nothing_else_needs_it():
    code = """
import sys
sys.modules["tensorboard"] = None
import lmrnn.training.train
from lmrnn.errors import ResourceError
from lmrnn.training.watching import Places, Watch
Watch(Places("a.csv"), ["go"])
assert "torch.utils.tensorboard" not in sys.modules
try:
    Watch(Places(None, "events"), ["go"])
except ResourceError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'lmrnn[tensorboard]'" in done.stdout, done.stderr
