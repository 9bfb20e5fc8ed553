"""Trials as data: what a dataset is, generating it, its HDF5 file, and batches of it."""
