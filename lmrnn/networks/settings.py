"""Which settings of a network and its training cannot stand together; without torch, for who plans."""

from __future__ import annotations

from lmrnn.errors import ConfigError

# What only the loss of the paths in plain torch has: the compiled kernel leaves it to them.
LOSS_OF_TORCH = ("loss", "l2_rates")


def check_constraints(nonlinearity: str, excitatory: float | None, input_share: float, readout_share: float) -> None:
    """Raise ConfigError on shares that are none, and on Dale's law where states are negative."""
    shares = {"excitatory": 1.0 if excitatory is None else excitatory, "input_share": input_share}
    for key, share in {**shares, "readout_share": readout_share}.items():
        if not 0 < share <= 1:
            raise ConfigError(f"network.{key} is {share!r}; allowed: a share in (0, 1]")
    if excitatory is not None and nonlinearity == "tanh":
        what = "the states of tanh are negative, too, so that a neuron's sign means nothing"
        raise ConfigError(f"network.excitatory is {excitatory!r}, but {what}; allowed: relu, softplus")
