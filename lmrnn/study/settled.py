"""What settings of a cell mean together: tau beside dt, the loss beside the tasks, costs beside the sheet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmrnn.errors import ConfigError
from lmrnn.networks.masks import has_signs
from lmrnn.networks.places import check_places
from lmrnn.networks.settings import check_constraints
from lmrnn.study.reading import Key
from lmrnn.tasks import battery_of, period_names


def settled(spec: dict[str, Any]) -> dict[str, Any]:
    """A cell's spec with what its settings stand for: leak in place of tau, the loss's weights in one notation.

    Raises ConfigError where settings cannot stand together, ConnectivityError where a wiring cost is asked for and
    neurons have no place.
    """
    network, training = dict(spec["network"]), dict(spec["training"])
    if (tau := network.pop("tau", None)) is not None:
        if tau < spec["dt"]:
            raise ConfigError(f"network.tau is {tau} ms; allowed: at least dt, which is {spec['dt']} ms")
        network["leak"] = spec["dt"] / tau
    shares = {key: network.get(key, default) for key, default in _SHARES.items()}
    check_constraints(network["nonlinearity"], **shares, signs=has_signs(spec["connectivity"]))
    if "wiring_cost" in training:
        check_places(spec["connectivity"], network["neurons"])
    if loss := _loss(spec, training.pop("loss", {})):
        training["loss"] = loss
    return {**spec, "network": network, "training": training}


_SHARES: dict[str, Any] = {"excitatory": None, "input_share": 1.0, "readout_share": 1.0}


def _loss(spec: Mapping[str, Any], loss: Mapping[str, Any]) -> dict[str, Any]:
    """Weights of the loss, without those that change nothing; refuses periods that no task has."""
    if not loss:
        return {}
    if (grace := loss.get("grace", 0)) % spec["dt"]:
        what = f"grace is {grace} ms, no whole number of steps of dt = {spec['dt']} ms"
        raise ConfigError(f"training.loss: {what}; allowed: multiples of {spec['dt']}")
    each = [period_names(task) for task in battery_of(spec)]
    named = {name: float(weight) for name, weight in loss.get("weights", {}).items() if weight != 1}
    known = sorted(set().union(*each))
    for name in loss.get("weights", {}):
        if name not in known:
            raise ConfigError(f"training.loss: no task here has a period named {name!r}; they have: {', '.join(known)}")
    for task in each:
        if not any(named.get(name, 1) for name in task[:-1]) and (grace or not named.get(task[-1], 1)):
            raise ConfigError("training.loss: every time step of some trials could weigh 0; leave a period some weight")
    return {**({"grace": grace} if grace else {}), **({"weights": named} if named else {})}


def refuse_leak_and_tau(plain: Mapping[str, Any]) -> Key | None:
    """The key of a configuration, as it was written, by which both leak and tau are given; None where they are not."""
    common = {key for key, value in (plain.get("network") or {}).items() if value is not None}
    for number, block in enumerate(plain["grid"]):
        if {"leak", "tau"} <= common | set(block):
            return next((("grid", number, key) for key in ("tau", "leak") if key in block), ("network", "tau"))
    return None


def remarks(config: Mapping[str, Any]) -> list[str]:
    """What a complete configuration says without saying it, for who is about to run it."""
    network, dt = config["network"], config["dt"]
    axes = set().union(*config["grid"])
    if dt != 100 and network["leak"] == 1 and network.get("tau") is None and not axes & {"leak", "tau"}:
        return [
            f"dt is {dt} ms and network.leak 1, so the time constant tau = dt / leak is {dt} ms, where it is 100 ms at "
            "dt: 100; network: {tau: 100} keeps it, network: {tau: " + str(dt) + "} says that it is meant so"
        ]
    return []
