"""Trials as data: what a dataset is, generating it, and its HDF5 file. Batches of it, in torch: `batches`."""

from lmrnn.datasets.files import generate_dataset, load_dataset
from lmrnn.datasets.generation import Dataset, Trial, dataset_bytes, generate
from lmrnn.datasets.spec import SPLITS, DatasetSpec

__all__ = ["SPLITS", "Dataset", "DatasetSpec", "Trial", "dataset_bytes", "generate", "generate_dataset", "load_dataset"]
