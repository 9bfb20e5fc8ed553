"""Snakemake's own tests of executors, on the clusters of this machine; tests/slurm runs them on a real Slurm too."""

from snakemake.common.tests import TestWorkflowsLocalStorageBase
from snakemake_executor_plugin_submitit import ExecutorSettings


class Stock(TestWorkflowsLocalStorageBase):
    """Snakemake's simple workflow and its workflow with groups."""

    cluster = "local"

    def get_executor(self):
        return "submitit"

    def get_executor_settings(self):
        return ExecutorSettings(cluster=self.cluster, poll_interval=0.5)


class TestLocal(Stock):
    __test__ = True


class TestDebug(Stock):
    __test__ = True
    cluster = "debug"
