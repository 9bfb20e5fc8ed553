"""From a result file to science: new trials, psychometric curves, state space, fixed points, lesions, export.

`lmrnn.load` opens a cell's file; docs/science.md goes through all of it.
"""
