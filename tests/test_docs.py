"""The documentation says what is so: messages exist, links lead somewhere, the site builds without a warning."""

import os
import re
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.browser import Browser, chromium

ROOT = Path(__file__).parents[1]
SOURCES = "\n".join(path.read_text() for path in (ROOT / "lmrnn").rglob("*.py"))
WORDS = re.sub(r'"\s*\n\s*f?"', "", SOURCES)  # strings joined as Python joins them


@pytest.mark.parametrize(
    "message", re.findall(r"^\| `([^`]+)` \| (?!meaning)", (ROOT / "docs/troubleshooting.md").read_text(), re.M)
)
def test_a_message_that_is_explained_is_one_of_the_code(message):
    assert message in WORDS


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.names, self.fetched = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.names |= {attrs[key] for key in ("id", "name") if key in attrs}
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])
        self.fetched += [attrs[key] for key in ("src",) if attrs.get(key)]
        self.fetched += [attrs["href"]] if tag == "link" and attrs.get("rel") == "stylesheet" else []


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "LMRNN_GALLERY": "few"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return folder


def test_every_link_of_the_site_leads_somewhere_and_nothing_is_fetched_from_elsewhere(site):
    pages = {path.relative_to(site).as_posix(): Page(path.read_text()) for path in site.rglob("*.html")}
    assert {"index.html", "tasks.html", "configuration.html", "api.html"} <= set(pages)
    for name, page in pages.items():
        for link in page.links:
            if name == "404.html" or re.match(r"https?:|mailto:", link):
                continue
            target, _, anchor = link.partition("#")
            place = (site / name).parent / target if target else site / name
            assert place.resolve().exists(), f"{name}: {link}"
            other = place.resolve().relative_to(site.resolve()).as_posix()
            assert not anchor or other not in pages or anchor in pages[other].names, f"{name}: {link}"
        assert not [one for one in page.fetched if re.match(r"https?:|//", one)], name


def test_the_search_works_in_pages_opened_from_a_file(site):
    assert "Adam" in (site / "search/search_index.js").read_text()


@pytest.mark.skipif(chromium() is None, reason="needs Chromium")
def test_a_search_in_a_page_opened_from_a_file_finds_something(site, tmp_path):
    with Browser(tmp_path / "profile") as browser:
        browser.open(site / "index.html")
        browser.evaluate("document.querySelector('[data-md-toggle=search]').click()")
        browser.evaluate(
            "(box => { box.focus(); box.value = 'censored'; box.dispatchEvent(new Event('keyup', {bubbles: true})) })"
            "(document.querySelector('.md-search__input'))"
        )
        browser.wait("document.querySelectorAll('.md-search-result__item').length > 0")
        assert not browser.problems
        assert all(re.match("file:|data:|about:", address) for address in browser.requests)


RESULTS = runpy.run_path(str(ROOT / "docs/results.py"))


@pytest.mark.parametrize("study", RESULTS["studies"]())
def test_the_tables_that_stay_are_those_that_were_kept(study):
    for table in RESULTS["made"](study)["tables"]:
        RESULTS["read"](study, table)


def test_the_figures_shown_are_drawn_from_the_tables_that_stay(tmp_path):
    for picture in RESULTS["draw_figures"](tmp_path):
        assert picture.read_bytes() == (ROOT / "docs" / picture.name).read_bytes(), f"{picture.name}: make figures"


def test_the_numbers_of_the_findings_are_those_of_the_tables_that_stay():
    page, findings = (ROOT / "docs/findings.md").read_text(), runpy.run_path(str(ROOT / "docs/findings.py"))
    rows = findings["rows"]()
    assert len(rows) == len(set(rows)) == 121
    assert [row for row in rows if row not in page] == []
    readme = (ROOT / "README.md").read_text()
    seeds = readme.split("With six seeds, by these rules:")[1].split("##")[0]
    texts = [(r"\d{3}", page + readme.split("![Area")[0]), (r"\d{2,3}", seeds)]
    told = [
        one.replace(".", "0.", 1) for digits, text in texts for one in re.findall(rf"(?<![\d\w.])-?\.{digits}\b", text)
    ]
    assert len(told) > 20
    known = re.findall(r"-?\d\.\d{2,3}\b", " ".join(rows))
    assert set(told) - set(known) - {one.lstrip("-") for one in known} == set()  # "minus .1" is told as ".1 behind"
