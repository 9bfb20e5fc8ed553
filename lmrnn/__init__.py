"""Sparse, spatially local recurrent networks on the Mod-Cog battery: tasks, training, sweep, curves."""

__version__ = "0.1.0"
