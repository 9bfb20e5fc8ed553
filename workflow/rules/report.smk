# Snakemake writes its report in place: killed meanwhile, it would leave an empty file where a good one had been.
from snakemake.report.html_reporter import Reporter

from lmrnn.cli.exits import explained_as
from lmrnn.files.removal import remove_temporaries
from lmrnn.files.storage import atomic_path

_render = Reporter.render


def _render_whole(reporter):
    """Write the report under a temporary name and rename it; a .zip, whose parts carry its name, as Snakemake does."""
    path = reporter.settings.path
    if path.suffix == ".zip":
        return _render(reporter)
    with explained_as(WorkflowError):
        remove_temporaries(path)
        with atomic_path(path) as temporary:
            reporter.settings.path = temporary
            try:
                _render(reporter)
            finally:
                reporter.settings.path = path


if _render.__name__ != _render_whole.__name__:  # once, also where several workflows are read in one process
    Reporter.render = _render_whole
