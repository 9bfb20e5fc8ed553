"""The report, opened from its file in a real browser, as its reader does."""

import os
import subprocess
import sys
from zipfile import ZipFile

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


@pytest.mark.parametrize("ending", ["html", "zip"])
def test_a_report_that_cannot_be_written_whole_leaves_the_good_one(report, ending):
    good = report.with_suffix(f".{ending}")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", "study.yaml"]
    command += ["--report", good.name]
    if ending == "zip":
        subprocess.run(command, cwd=report.parent, check=True, capture_output=True, timeout=240)
        with ZipFile(good) as parts:
            assert parts.testzip() is None
            assert {name.split("/")[0] for name in parts.namelist()} == {"report"}
    before = good.read_bytes()
    assert len(before) > 1_000_000
    done = subprocess.run(
        ["bash", "-c", 'ulimit -f 500; exec "$@"', "bash", *command],
        cwd=report.parent, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode != 0
    assert f"{good.name}: cannot be written (File too large)" in done.stderr
    assert good.read_bytes() == before
    assert not list(report.parent.glob(f".{good.name}.*"))


# where the parts of the page that is shown lie in the box that scrolls, and how far that scrolls
PARTS = """
(() => {
  const page = document.querySelector('#app nav').nextElementSibling, frame = page.getBoundingClientRect();
  const parts = [...page.querySelectorAll('.prose p, .prose summary, .prose pre, #rulegraph .marks, .p-3 > img')];
  return {
    width: page.scrollWidth, height: page.scrollHeight, window: [frame.width, frame.height],
    parts: parts.filter(one => one.checkVisibility()).map(one => {
      const box = one.getBoundingClientRect();
      const left = box.left - frame.left + page.scrollLeft, top = box.top - frame.top + page.scrollTop;
      return {tag: one.localName, text: one.textContent, left, top, right: left + box.width, bottom: top + box.height};
    }),
  };
})()
"""
SHOW = """
app.setView({{
  content: 'img',
  contentPath: Object.entries(results).find(([path]) => path.endsWith({!r}))[1].data_uri,
}})
"""


def reachable(browser):
    """The parts of the page that is shown, all of which can be scrolled to."""
    page = browser.evaluate(PARTS)
    for part in page["parts"]:
        assert 0 <= part["left"] < part["right"] <= page["width"] + 1, part
        assert 0 <= part["top"] < part["bottom"] <= page["height"] + 1, part
    return page


@pytest.mark.parametrize("size", [(1400, 850), (1280, 720), (800, 500)])
def test_every_part_of_a_page_can_be_seen_the_first_paragraph_at_once(report, browser, size):
    browser.call("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False)
    browser.open(report)
    browser.wait("document.querySelector('#rulegraph .marks')")
    page = reachable(browser)
    assert page["window"][1] == size[1]
    first = page["parts"][0]
    assert first["text"].startswith("When do sparse")
    assert first["bottom"] < size[1]
    assert "pre" not in {part["tag"] for part in page["parts"]}
    browser.evaluate("document.querySelector('.prose summary').click()")
    configuration = next(part for part in reachable(browser)["parts"] if part["tag"] == "pre")
    assert '"trials_per_task"' in configuration["text"]
    assert configuration["bottom"] > size[1]  # the case in which centring puts the page's beginning out of reach
    browser.evaluate(SHOW.format("steps_to_threshold.png"))
    browser.wait("document.querySelector('.p-3 > img') && document.querySelector('.p-3 > img').complete")
    (picture,) = reachable(browser)["parts"]
    assert picture["right"] - picture["left"] > 400


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
    assert menu.index("How to read it") < menu.index("The study's configuration")
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
