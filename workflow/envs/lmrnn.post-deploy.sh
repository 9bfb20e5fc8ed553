#!/usr/bin/env bash
# Runs once in the new environment, in the folder that snakemake was started in.
set -euo pipefail
root=$(git rev-parse --show-toplevel)
python -m pip install --no-deps "$root/snakemake-executor-plugin-submitit" "$root"
