"""What can go wrong with a submission."""


class RefusedError(Exception):
    """The cluster does not take a submission; the message is the cluster's own."""


class LimitedError(Exception):
    """The cluster takes no more jobs for now: as many are there as a limit allows."""


class UnansweredError(Exception):
    """Slurm does not answer, and nobody knows whether it took a submission."""
