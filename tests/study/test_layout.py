"""Where files lie: one place makes every path, and what two studies share never has the name of a study."""

import pytest

from lmrnn.errors import ConfigError
from lmrnn.study.config import validate_config
from lmrnn.study.grid import cells_of
from lmrnn.study.layout import SHARED, Layout
from tests.studies import TINY


def test_a_cell_and_its_datasets_lie_where_the_layout_says():
    cell = cells_of(validate_config(TINY))[0]
    layout = Layout("r")
    assert cell.path("r") == layout.cell(cell.stem)
    assert cell.checkpoint("r") == layout.checkpoint(cell.stem)
    assert cell.dataset_path("r", "train") == layout.dataset_named(layout.dataset_name(cell.dataset("train")))


@pytest.mark.parametrize("name", SHARED)
def test_a_study_cannot_have_the_name_of_a_folder_that_all_studies_share(name):
    with pytest.raises(ConfigError):
        validate_config({**TINY, "study": name})
