"""Generate one dataset."""

from pathlib import Path

from lmrnn.cli.exits import logged
from lmrnn.datasets import DatasetSpec, generate_dataset
from lmrnn.plugins import remember

with logged(snakemake.log[0]) as log:
    remember(snakemake.config["plugins"])
    path = Path(snakemake.output[0])
    generate_dataset(DatasetSpec.from_json(snakemake.params.spec), path)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB", file=log)
