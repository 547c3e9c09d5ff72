"""The docs as a site: pages have a place, links hold, no other host is asked, and a page opened as a file searches."""

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

import perfgate
from perfgate.plugin import hooks, hookspecs
from tests import ROOT
from tests.support.browser import CHROMIUM, LACKING

API = ROOT / "docs" / "api"
FETCHED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src"}


class Fetched(HTMLParser):
    """Collects the addresses that a browser asks for by itself when it opens a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get(FETCHED.get(tag, ""))
        if address:
            self.addresses.append(address)


def places() -> Iterator[str]:
    """The pages that the navigation names."""

    class Loader(yaml.SafeLoader):
        """Reads past what is made by Python."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: None)
    left: list[Any] = [yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)["nav"]]
    while left:
        entry = left.pop()
        if isinstance(entry, str):
            yield entry
        else:
            left.extend(entry.values() if isinstance(entry, dict) else entry)


def test_every_page_has_a_place_in_the_navigation():
    docs = ROOT / "docs"
    pages = {str(path.relative_to(docs)) for path in docs.rglob("*.md") if path.name != "README.md"}
    assert {page for page in pages if not page.startswith("examples/")} - set(places()) == set()


def test_the_pages_made_from_docstrings_name_all_that_is_public():
    named = set(re.findall(r"^::: [\w.]+\.(\w+)", "".join(path.read_text() for path in API.iterdir()), re.MULTILINE))
    kind = type(hooks.perf)
    fixtures = {name for name, value in vars(hooks).items() if isinstance(value, kind)}
    specs = {name for name in vars(hookspecs) if name.startswith("pytest_")}

    # `perf` has two names, and is documented by the function behind them.
    assert {*perfgate.__all__, *fixtures, *specs} - named == {"__version__", "perf", "perfgate_perf"}
    assert "of_case" in named


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as CONTRIBUTING.md says; a link that leads nowhere fails here."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slice
def test_no_page_of_the_site_names_another_host_for_what_it_shows(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 50
    for page in pages:
        parser = Fetched()
        parser.feed(page.read_text())
        assert parser.addresses
        assert [address for address in parser.addresses if re.match(r"(\w+:)?//", address)] == [], page
    for style in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(\w+:)?//", style.read_text()), style


@pytest.mark.slice
def test_links_into_the_repository_lead_to_the_text_of_the_file(site):
    assert 'href="repository/perf_tests/training/test_batch_size.py.html"' in (site / "techniques.html").read_text()
    shown = (site / "repository" / "perf_tests" / "training" / "test_batch_size.py.html").read_text()
    assert "test_batch_size" in re.sub(r"<[^>]*>", "", shown).partition("def ")[2]
    for page in site.rglob("*.html"):
        # A link that mkdocs does not know stays as it was written, for the repository.
        assert not re.search(r'href="[^":]*\.(md|py)(#[^"]*)?"', page.read_text()), page


@pytest.mark.slice
@pytest.mark.browser
@pytest.mark.skipif(bool(LACKING), reason=f"no {' and no '.join(LACKING)} here; bring it with: ci/browser-setup")
def test_a_page_opened_as_a_file_finds_the_glossary_and_asks_no_host(site):
    from playwright.sync_api import sync_playwright

    requests: list[str] = []
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.on("request", lambda request: requests.append(request.url))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto((site / "index.html").as_uri())
        tab.fill("input.md-search__input", "yardstick")
        first = tab.locator(".md-search-result__item h1").first
        first.wait_for()
        found = first.inner_text()
        tab.goto((site / "api" / "public.html").as_uri())
        titles = tab.locator("h2").all_inner_texts()
        browser.close()

    assert found == "Glossary"
    assert [title.split()[0] for title in titles] == ["Model", "Program", "Workload"]
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert complaints == []
