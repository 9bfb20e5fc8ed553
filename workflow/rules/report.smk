# Snakemake writes its report in place: killed meanwhile, it would leave an empty file where a good one had been.
from zipfile import ZipFile

from snakemake.report import html_reporter

from lmrnn.cli.exits import explained_as
from lmrnn.files.removal import remove_temporaries
from lmrnn.files.storage import atomic_path

_render = html_reporter.Reporter.render
_STYLE = Path(workflow.source_path("../report/style.css")).read_text(encoding="utf-8")


def _render_whole(reporter):
    """Write the report under a temporary name and rename it; all of each of its pages can be scrolled to."""
    path = reporter.settings.path
    reporter.custom_stylesheet = _STYLE + (reporter.custom_stylesheet or "")
    with explained_as(WorkflowError):
        remove_temporaries(path)
        with atomic_path(path) as temporary:
            # the parts of a .zip carry its name: it is asked for by that, and opened under the temporary one
            html_reporter.ZipFile = lambda _, **options: ZipFile(temporary, **options)
            reporter.settings.path = path if path.suffix == ".zip" else temporary
            try:
                _render(reporter)
            finally:
                reporter.settings.path, html_reporter.ZipFile = path, ZipFile


if _render.__name__ != _render_whole.__name__:  # once, also where several workflows are read in one process
    html_reporter.Reporter.render = _render_whole
