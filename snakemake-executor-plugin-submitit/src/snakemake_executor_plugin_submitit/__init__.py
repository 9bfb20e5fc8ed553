"""Snakemake executor that dispatches jobs to Slurm (or to this machine) through submitit.

All jobs that are ready in a round and ask for about the same go out as one array; one call to sacct a round asks for
all of them; a ledger of its own lets a restarted driver take up what still runs. Snakemake finds it by this package's
name.
"""

import sys

from snakemake_interface_executor_plugins.settings import CommonSettings

from .executor import Executor
from .settings import ExecutorSettings

__version__ = "0.2.0"

common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_default_storage_provider_args=True,
    pass_default_resources_args=True,
    pass_envvar_declarations_to_cmd=False,  # they are handed over as they are, without a shell
    auto_deploy_default_storage_provider=False,
    init_seconds_before_status_checks=1,
)

__all__ = ["Executor", "ExecutorSettings", "common_settings"]

# Snakemake loads its plugins before it reads a configuration, and nothing else of a workflow. Whoever reads the ledger
# alone loads no Snakemake.
if "snakemake.settings.types" in sys.modules:
    from .configfiles import explain_unreadable_files

    explain_unreadable_files()
