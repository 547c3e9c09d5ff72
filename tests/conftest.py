"""A suite of a stranger's, with programs that need no torch, in a folder of its own."""

import gc
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from tests import ROOT, SUPPORT
from tests.support import warm
from tests.support.plugins import QUIET

pytest_plugins = ["pytester"]


class Suite:
    """Writes cases and runs them in a real pytest process."""

    def __init__(self, pytester: pytest.Pytester, launches: int) -> None:
        self.pytester = pytester
        self.path = pytester.path
        shutil.copy(SUPPORT / "programs.py", self.path / "programs.py")
        (self.path / "perf_tests").mkdir()
        pytester.makeini(f"[pytest]\naddopts = {QUIET}\nperf_launches = {launches}\nperf_html = off\n")

    def write(self, text: str, name: str = "test_case.py") -> None:
        """Write a test file below perf_tests/."""
        path = self.path / "perf_tests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"import pytest\nfrom perfgate.shared.workload import Workload\n\n\n{HELPER}\n\n{text}")

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run pytest over perf_tests/."""
        return warm.run(self.pytester, "perf_tests", *arguments)

    @property
    def run_files(self) -> list[Path]:
        """All run files, oldest first."""
        return sorted((self.path / "perf_output").glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)

    @property
    def baselines(self) -> list[Path]:
        """All baseline files of machines."""
        return [path for path in sorted((self.path / "baselines").rglob("*.json")) if path not in self.portable]

    @property
    def portable(self) -> list[Path]:
        """All baseline files that hold on every machine."""
        return sorted((self.path / "baselines" / "portable").rglob("*.json"))


HELPER = """
def work(name="Spin", **params):
    return Workload(f"programs:{name}", params)
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs a suite as measuring, unless it says that it may share the machine."""
    for item in items:
        if "suite" in getattr(item, "fixturenames", ()) and item.get_closest_marker("untimed") is None:
            item.add_marker("measures")
        if item.path.is_relative_to(ROOT / "tests" / "actor") and item.get_closest_marker("measures"):
            raise pytest.UsageError(f"{item.nodeid} measures; ci/test looks for such tests outside of tests/actor")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out the long tests that .ci/run has no time for on a slow machine, and say so."""
    until = float(os.environ.get("SLICES_UNTIL", "inf"))
    if item.get_closest_marker("slice") and time.time() > until:
        pytest.skip("left out: this machine is so slow that .ci/run has no time left for it; run ci/test --slices")


# Inductor sets them in a process that compiles, and a server that has them is started and not forked.
SET_BY_INDUCTOR = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")


@pytest.fixture(autouse=True)
def without_what_inductor_sets() -> None:
    """Let no test, nor the processes that it starts, see what an earlier test's compiler set in this process."""
    for name in SET_BY_INDUCTOR:
        if name not in warm.BEFORE_TESTS:
            os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def settled() -> None:
    """Let collections of garbage pass over what was there before the test, as a server does before it forks actors.

    Dry runs collect after each step, which takes 0.1 s and more where torch and transformers are imported.
    """
    if "torch" in sys.modules:
        gc.collect()
        gc.freeze()


@pytest.fixture
def suite(request: pytest.FixtureRequest, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """An empty suite, whose runs do not take themselves for workers of the run that tests them.

    A case has no timed launch where no timing is judged, which takes half the time, unless the test asks for more.
    """
    # Under CI pytest's summary is longer, and a test must not pass there alone.
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST") or name in ("CI", "BUILD_NUMBER")]:
        monkeypatch.delenv(name)
    asked = request.node.get_closest_marker("launches")
    timed = request.node.get_closest_marker("measures") or not request.node.get_closest_marker("untimed")
    return Suite(pytester, asked.args[0] if asked else 2 if timed else 0)
