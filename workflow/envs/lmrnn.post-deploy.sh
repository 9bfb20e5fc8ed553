#!/usr/bin/env bash
# Runs once in the new environment, in the folder that snakemake was started in.
set -euo pipefail
python -m pip install --no-deps "$(git rev-parse --show-toplevel)"
