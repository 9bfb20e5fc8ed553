"""Networks: which synapses exist, the parameters, and the paths that compute the recurrence."""
