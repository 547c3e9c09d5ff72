"""What the documents tell people to type really does what they say; pictures and links lead somewhere."""

import importlib.util
import itertools
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import get_args

import pytest

from perfgate.plugin.declared_options import OPTIONS
from perfgate.records.runfile import read
from perfgate.records.verdict import Name
from tests import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
GLOSSARY = ROOT / "docs" / "glossary.md"
OPTIONS_PAGE = ROOT / "docs" / "options.md"


@pytest.fixture(scope="module")
def pytest_help() -> str:
    """What ``pytest --help`` prints: every option and every ini value, as users find them."""
    command = [sys.executable, "-m", "pytest", "--help"]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout


def blocks(page: Path) -> list[list[str]]:
    """Commands of each console block, without the remarks behind them."""
    found = re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL)
    return [[line.partition("#")[0].strip() for line in block.splitlines() if line.strip()] for block in found]


def anchors(page: Path) -> list[str]:
    """The names by which other pages link to the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def first_cells(page: Path, heads: str) -> list[str]:
    """The first cell of each row in the tables of a page whose first column has one of the named heads."""
    found = re.findall(rf"^\| (?:{heads}) \|.*\n\|[-|]+\n((?:\|.*\n?)+)", page.read_text(), re.MULTILINE)
    return [row.split("|")[1].strip() for table in found for row in table.splitlines()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?://)([^)]+)", page.read_text()):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{page.name} names {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} names {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page):
    named = re.findall(r"`((?:perfgate|perf_tests|tests|benchmarks|fixtures|ci|docs)/[\w./-]+)`", page.read_text())
    folders = [ROOT, *(ROOT / "docs" / "examples").iterdir()]
    assert [path for path in named if not any((folder / path).exists() for folder in folders)] == []


def test_the_readme_leads_through_every_room():
    rooms = {f"perfgate/{path.name}/" for path in (ROOT / "perfgate").iterdir() if (path / "__init__.py").exists()}
    assert rooms - set(re.findall(r"^\| `(perfgate/\w+/)`", (ROOT / "README.md").read_text(), re.MULTILINE)) == set()


def test_the_glossary_explains_each_word_once():
    explained = anchors(GLOSSARY)
    used = {name for page in PAGES for name in first_cells(page, "word|verdict")}
    words = {name for cell in used for name in re.sub(r"[`*]|\]\([^)]*\)|\[", "", cell).split(", ")}

    assert len(explained) == len(set(explained))
    assert {*words, *get_args(Name)} - {word.replace("-", " ") for word in explained} == set()


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs" / "how-it-decides.md"], ids=lambda page: page.name)
def test_the_glossary_is_linked(page):
    assert "glossary.md" in page.read_text()


def test_the_page_of_options_names_each_option_once_with_its_default_and_choices(pytest_help):
    flags = set(re.findall(r"--perf-[a-z-]+", pytest_help))
    settings = re.findall(r"^  (perf_\w+) \(", pytest_help, re.MULTILINE)
    only_ini = {name for name in settings if f"--{name.replace('_', '-')}" not in flags}
    rows = {row.split("`")[1]: row for row in OPTIONS_PAGE.read_text().splitlines() if row.startswith("| `")}
    named = [re.sub(r"[`]| \(ini only\)", "", cell) for cell in first_cells(OPTIONS_PAGE, "option")]

    assert sorted(named) == sorted(flags | only_ini)
    for option in OPTIONS:
        default = rows[option.flag].split(" | ")[-1]
        assert not option.default or f"`{option.default}`" in default, option.flag
        assert all(f"`{choice}`" in rows[option.flag] for choice in option.choices), option.flag


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist_and_know_their_options(page, pytest_help):
    for command in (command for block in blocks(page) for command in block):
        words = [word for word in command.split() if "=" not in word or word.startswith("-")]
        program = words[0]
        assert program in ("perfgate", "python", "mkdocs", "rm") or (ROOT / program).exists(), command
        for option in re.findall(r"--perf-[a-z]+", command):
            assert option in pytest_help, command


def test_the_page_of_techniques_names_every_file_and_every_effect():
    page = (ROOT / "docs" / "techniques.md").read_text()
    for file in (ROOT / "perf_tests").rglob("test_*.py"):
        assert f"(../{file.relative_to(ROOT)})" in page
        for name in re.findall(r"def test_(\w+)\([^)]*\beffect\b", file.read_text()):
            assert name.replace("_", " ") in page, file


def test_the_page_of_settings_is_made_from_their_declarations():
    spec = importlib.util.spec_from_file_location("settings_page", ROOT / "docs" / "settings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "settings.md").read_text() == module.page(), "run: python docs/settings.py"


@pytest.mark.slice
@pytest.mark.measures
def test_the_walk_through_a_regression_does_what_it_says(tmp_path):
    page = ROOT / "docs" / "a-regression-caught.md"
    commands = [command for block in blocks(page) for command in block]
    environment = os.environ | {"CASE": "test_batch_size[gpt2-quick-1]", "BASELINES": str(tmp_path / "baselines")}
    codes = [
        subprocess.run(["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        for command in commands
    ]
    assert [done.returncode for done in codes] == [0, 0, 0, 0, 1, 1], [done.stdout[-1500:] for done in codes]
    slow, hungry = codes[-2:]
    assert "test_batch_size[gpt2-quick-1]: step_time_s got worse by +" in slow.stdout
    assert "peak_memory_bytes got worse" not in slow.stdout
    assert "test_batch_size[gpt2-quick-1]: peak_memory_bytes got worse by +" in hungry.stdout


@pytest.mark.launches(1)
@pytest.mark.untimed
@pytest.mark.slice
def test_the_picture_of_a_run_shows_each_launch_where_it_was(suite):
    suite.write("@pytest.mark.parametrize('number', range(2))\ndef test_it(perf, number):\n    perf(work())")
    suite.run().assert_outcomes(passed=2)
    launches = read(suite.run_files[0]).launches
    spans = [(x.details.span.began_s, x.details.span.began_s + x.details.span.took_s) for x in launches]
    assert all(end <= begin + 0.001 for (_, end), (begin, _) in itertools.pairwise(spans))
    picture = suite.path / "out.svg"
    command = [sys.executable, str(ROOT / "docs" / "timeline.py"), str(suite.run_files[0]), str(picture)]
    subprocess.run(command, check=True, cwd=ROOT)
    told = [title.text for title in ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}title")]
    assert told == [f"{launch.case}, {launch.pass_name}" for launch in launches]
