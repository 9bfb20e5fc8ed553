"""A kind of connectivity of one's own: full within clusters of neurons, sparse between them."""

import numpy as np

from lmrnn.networks.kinds import kind


@kind("random_clusters", clusters=..., density=0.05)
def random_clusters(spec, neurons, rng):
    own = np.arange(neurons) * spec["clusters"] // neurons
    together = own[:, None] == own
    return np.nonzero(together | (rng.random((neurons, neurons)) < spec["density"]))
