"""Bars of how often each call was seen, as the tutorial's last rule draws them."""

from pathlib import Path

calls = [line.split() for line in Path(snakemake.input[0]).read_text().splitlines()]  # noqa: F821 - Snakemake's
bars = [f'<rect x="{10 * i}" width="8" height="{count}"/>' for i, (_, _, count) in enumerate(calls)]
Path(snakemake.output[0]).write_text(f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(bars)}</svg>\n')  # noqa: F821
