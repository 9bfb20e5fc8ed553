"""Pictures of what is found in a trained network."""

import numpy as np
import pytest

from lmrnn.errors import ConfigError
from lmrnn.figures.science import draw_psychometric, draw_state_space
from lmrnn.science.fixed_points import fixed_points
from lmrnn.science.psychometric import psychometric
from tests.science.hand_made import hand_made, integrator


def test_curves_of_several_networks_are_drawn_also_where_nothing_is_determined(tmp_path):
    known = integrator(2, 9)
    noisy = psychometric(known, "dm1", trials=50, theta1=2, theta2=9)
    clean = psychometric(known, "dm1", trials=5, noise=False, theta1=2, theta2=9)
    others = psychometric(known, "dm1", trials=5, theta1=3, theta2=10)  # never chosen: nothing to fit
    draw_psychometric({"noisy": noisy, "clean": clean, "other": others}, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 5000
    with pytest.raises(ConfigError, match="png or"):
        draw_psychometric({}, tmp_path / "curve.jpg")


@pytest.mark.parametrize("colour", ["theta1", None])
def test_paths_and_points_are_drawn_in_the_colours_asked_for(tmp_path, colour):
    known = integrator(2, 9)
    known = known.with_network(hand_made(np.diag([2.0, 0.5, 0.9]), input=np.random.default_rng(0).normal(size=(3, 33))))
    run = known.run("dm1", 6)
    points = fixed_points(known.network, np.zeros(33), 0, run.states[::9])
    draw_state_space(run, tmp_path / "space.svg", colour, points=points)
    assert (tmp_path / "space.svg").stat().st_size > 5000
    with pytest.raises(ConfigError, match="it has: fixation_ms, stimulus_ms"):
        draw_state_space(run, tmp_path / "space.png", "colour")
