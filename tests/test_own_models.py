"""A stranger's repository gates its own model and loop, by the example in the documents."""

import shutil
from pathlib import Path

import pytest

from tests import ROOT

EXAMPLE = ROOT / "docs" / "examples" / "own_model"
PAGE = EXAMPLE.parent.parent / "own-models.md"


def lines_of_code(path: Path) -> int:
    """Lines that are neither blank nor imports nor documentation."""
    lines = [line.strip() for line in path.read_text().splitlines()]
    return sum(bool(line) and not line.startswith(("import ", "from ", '"""')) for line in lines)


def test_it_takes_less_than_twenty_lines_and_the_page_shows_them() -> None:
    files = EXAMPLE / "bench.py", EXAMPLE / "perf_tests" / "test_tagger.py"

    assert sum(map(lines_of_code, files)) < 20
    body = files[0].read_text().partition("class Training")[2]
    assert body in PAGE.read_text()


@pytest.mark.slice
@pytest.mark.measures
def test_its_training_is_measured_and_a_model_that_needs_more_memory_is_caught(pytester: pytest.Pytester) -> None:
    shutil.copytree(EXAMPLE, pytester.path, dirs_exist_ok=True)
    case = "perf_tests/test_tagger.py::test_training[8]"
    first = pytester.runpytest_subprocess(case, "--perf-update", "new", "--perf-launches", "1")
    first.assert_outcomes(passed=1)
    model = pytester.path / "tagger.py"
    model.write_text(model.read_text().replace("words=2000, tags=17, width", "words=2500, tags=17, width"))

    second = pytester.runpytest_subprocess(case, "--perf-launches", "1")

    second.assert_outcomes(failed=1)
    second.stdout.fnmatch_lines(["*test_tagger.py::test_training?8?: peak_memory_bytes got worse by +*"])
