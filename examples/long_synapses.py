"""An analysis of one's own: what each task loses with the longest synapses, and with as many others."""

import numpy as np

from lmrnn.analysis.own import own_analysis


@own_analysis("long_synapses")
def long_synapses(cell):
    from lmrnn.science.lesions import synapse_lengths, without_synapses  # torch: only where it is needed

    data = cell.test_set()
    whole, length = cell.accuracy(data), synapse_lengths(cell.network.connectivity)
    other = np.random.default_rng(cell.spec["seed"]).random(len(length))
    for share in (0.1, 0.3):
        for cut, rank in (("longest", length + 1e-9 * other), ("random", other)):
            gone = rank >= np.quantile(rank, 1 - share)
            lesioned = cell.with_network(without_synapses(cell.network, gone))
            for task, accuracy in lesioned.accuracy(data).items():
                yield {"task": task, "cut": cut, "share": share, "lost": whole[task] - accuracy}
