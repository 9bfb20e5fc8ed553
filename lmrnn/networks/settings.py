"""Which settings of a network and its training cannot stand together; without torch, for who plans."""

from __future__ import annotations

from lmrnn.errors import ConfigError


def check_constraints(
    nonlinearity: str, excitatory: float | None, input_share: float, readout_share: float, signs: bool
) -> None:
    """Raise ConfigError on shares that are none, on Dale's law where states are negative, and on a share of excitatory
    neurons where a mask gives `signs`.
    """
    shares = {"excitatory": 1.0 if excitatory is None else excitatory, "input_share": input_share}
    for key, share in {**shares, "readout_share": readout_share}.items():
        if not 0 < share <= 1:
            raise ConfigError(f"network.{key} is {share!r}; allowed: a share in (0, 1]")
    if signs and excitatory is not None:
        raise ConfigError(f"network.excitatory is {excitatory!r}, but the mask's file has signs; leave one of them out")
    if nonlinearity == "tanh" and (signs or excitatory is not None):
        given = "the mask's file has signs" if signs else f"network.excitatory is {excitatory!r}"
        what = "the states of tanh are negative, too, so that a neuron's sign means nothing"
        raise ConfigError(f"{given}, but {what}; allowed: relu, softplus")
