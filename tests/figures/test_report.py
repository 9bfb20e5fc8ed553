"""The report, opened from its file in a real browser, as its reader does."""

import os
import subprocess
import sys

import pandas as pd
import pytest

from tests.browser import Browser, chromium
from tests.studies import ROOT, Study

FIGURES = {
    "training_speed", "steps_to_threshold", "data_efficiency", "trials_to_threshold", "task_accuracy",
    "rate_threshold_map", "sheets", "tuning", "autapses", "rings",
}  # fmt: skip
# names of all results, with what the browser makes of each picture
SHOWN = """
Promise.all(Object.entries(results).map(async ([path, result]) => {
  const found = {path, type: result.mime_type, caption: result.caption || "", width: 0};
  if (result.mime_type === "image/png") {
    const image = new Image();
    image.src = result.data_uri;
    await image.decode();
    found.width = image.naturalWidth;
  }
  return found;
}))
"""
CLICK = "[...document.querySelectorAll('a')].find(one => one.innerText.trim() === {!r}).click()"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of a small study that really trained, with claims and analysis."""
    study = Study(tmp_path_factory.mktemp("report"))
    grid = {
        "connectivity": ["autapse", {"kind": "local", "radius": [2]}, "full"],
        "tasks": [["go", "dlygo", "goseqr", "dlygointr"]],
        "trials_per_task": [4, 8],
    }
    study.change(claims=True, grid=grid)
    assert len(study.run()) == 6
    done = study.snakemake("--report", "report.html")
    assert done.returncode == 0, done.stdout
    return study.folder / "report.html"


@pytest.fixture
def browser(tmp_path):
    if chromium() is None:
        message = "no Chromium on this machine (Debian: apt-get install chromium)"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    with Browser(tmp_path / "profile") as browser:
        yield browser


def test_a_report_that_cannot_be_written_whole_leaves_the_good_one(report):
    before = report.read_bytes()
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", "study.yaml"]
    done = subprocess.run(
        ["bash", "-c", 'ulimit -f 1000; exec "$@"', "bash", *command, "--report", "report.html"],
        cwd=report.parent, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode != 0
    assert "report.html: cannot be written (File too large)" in done.stderr
    assert report.read_bytes() == before
    assert not list(report.parent.glob(".report.html.*"))


def test_the_report_shows_every_figure_with_its_caption_and_asks_the_network_for_nothing(report, browser):
    browser.open(report)
    browser.wait("document.body.innerText.includes('When do sparse')")
    shown = browser.evaluate(SHOWN)
    pictures = {one["path"].split("/")[-1].removesuffix(".png"): one for one in shown if one["type"] == "image/png"}
    assert set(pictures) == FIGURES
    for name, picture in pictures.items():
        assert picture["width"] > 500, name
        assert len(picture["caption"]) > 200, name
    assert any(one["path"].endswith("claims.html") for one in shown)
    menu = browser.evaluate("document.body.innerText")
    chapters = ["1 Claims", "2 Curves", "3 Heat maps", "4 Networks", "5 Cells and provenance"]
    places = [menu.upper().index(chapter.upper()) for chapter in chapters]
    assert places == sorted(places)
    # the front page ends with the whole configuration
    assert menu.index("How to read it") < menu.index("The study's configuration") < menu.index('"trials_per_task"')
    browser.evaluate(CLICK.format("2 Curves"))
    browser.wait("document.body.innerText.includes('training_speed.png')")
    browser.screenshot(report.with_suffix(".png"))
    assert report.with_suffix(".png").stat().st_size > 20_000
    assert browser.problems == []
    outside = [url for url in browser.requests if not url.startswith(("file:", "data:", "blob:", "about:"))]
    assert outside == []


def test_the_page_of_claims_opens_by_itself(report, browser):
    folder = report.parent / "results" / "tiny"
    browser.open(folder / "claims.html")
    assert browser.evaluate("document.querySelectorAll('h2').length") == 4
    rows = browser.evaluate("document.querySelectorAll('td.number').length")
    claims = pd.read_csv(folder / "claims.csv")
    assert rows == len(claims) + claims["headline"].sum()
    assert set(claims["claim"]) >= {1, 2, 3}
    assert browser.problems == []


def test_a_page_that_breaks_or_asks_the_network_is_noticed(browser, tmp_path):
    page = tmp_path / "broken.html"
    page.write_text("<img src='http://127.0.0.1:9/x.png'><script>undefinedFunction()</script>")
    browser.open(page)
    browser.wait("document.images[0].complete")
    assert any("undefinedFunction" in problem for problem in browser.problems)
    assert "http://127.0.0.1:9/x.png" in browser.requests
