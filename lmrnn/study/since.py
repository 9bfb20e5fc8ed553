"""Settings of a training that came after the first version, for who trains without reading configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# A spec leaves them out at these values. config.schema.yaml, whose `default` each of them is, describes them; a test
# holds the two against each other, since training does without what reads YAML.
SINCE: dict[str, Any] = {
    "patience": 0,
    **{"recurrent_rate": 1.0, "reference_degree": 21.0},
    **{"schedule": "constant", "warmup_steps": 100, "rate_floor": 0.0},
    "evaluations": 30,
    "loss": {},
    **{"weight_decay": 0.0, "l1": 0.0, "wiring_cost": 0.0, "l2_rates": 0.0},
}


def with_defaults(training: Mapping[str, Any]) -> dict[str, Any]:
    """The section ``training`` of a cell's spec with what it leaves out."""
    return {**SINCE, **training}
