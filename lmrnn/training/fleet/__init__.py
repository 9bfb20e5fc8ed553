"""Cells of one shape trained together: K networks as batched products, on one device, by one process.

`shape` says which cells go together, `rows` which (time step, trial) pairs are computed, `pool` holds the trials,
`places` the parameters and the optimiser's state of K cells, `passes` the recurrence forward and backward, `scan` how
it is computed: so, or by `fused` with its `kernels` in Triton; `step` one training step of all of them, `feed` what the
host brings for it, `evaluation` their measures, `member` one cell and whom to tell, `crew` the cells in the places,
`train` a turn of them. Everything in which the cells of a fleet may differ is a tensor over the places, so that one
CUDA graph serves whatever cells sit in them, also when one ends and another takes its place.
"""
