"""A metric that Perfgate measures differently than when it was stored: it is named as such, and is no regression."""

import json
import shutil

import pytest

from perfgate.records.runfile import read
from perfgate.shared.metrics import PYTHON_CALLS
from tests import SUPPORT

pytestmark = pytest.mark.untimed

CASE = """
def test_it(perf):
    perf(Workload("calling_programs:LooksUp", {}), tolerance=5)
"""
NONE = ("--perf-device", "none")
ONLY = "Perfgate measures python_calls differently since version 0.2.0, so what is stored of 1 case was not compared."


@pytest.fixture
def stored(suite):
    """A suite whose count is stored as an earlier version did it: with another value, and no way."""
    shutil.copy(SUPPORT / "calling_programs.py", suite.path)
    ini = suite.path / "tox.ini"
    ini.write_text(ini.read_text().replace("perf_launches = 2", "perf_launches = 1"))
    suite.write(CASE)
    suite.run("--perf-update", "new").assert_outcomes(passed=1)
    (path,) = (suite.path / "baselines" / "portable").rglob("test_case.json")
    document = json.loads(path.read_text())
    (row,) = [row for row in document["rows"] if "metrics" in row]
    assert row.pop("ways") == {PYTHON_CALLS: 2}
    row["metrics"][PYTHON_CALLS] = [5.0, None]
    path.write_text(json.dumps(document))
    return suite


PREDICTED = ("operator_calls", "moved_bytes", "predicted_peak_bytes", "predicted_cuda_peak_bytes")
ALL_FOUR = (
    f"Perfgate measures {', '.join(PREDICTED[:3])} and {PREDICTED[3]} differently since version 0.2.0, "
    "so what is stored of 1 case was not compared."
)


def count(suite):
    """The verdict on the count in the newest run."""
    (found,) = [verdict for verdict in read(suite.run_files[-1]).verdicts if verdict.metric == PYTHON_CALLS]
    return found


@pytest.mark.slice
def test_what_is_stored_in_another_way_is_new_and_undecided_until_it_is_stored_again(stored):
    first = stored.run()
    first.assert_outcomes(passed=1, warnings=1)
    first.stdout.fnmatch_lines(
        [
            f"*{ONLY} Store it again with: pytest*--perf-update new",
            "Decided: * of *; not decided: *inconclusive.",
        ]
    )
    assert (count(stored).verdict, count(stored).change, count(stored).way_since) == ("new", None, "0.2.0")

    strict = stored.run("--perf-strict")
    strict.assert_outcomes(failed=1)
    strict.stdout.fnmatch_lines(["*python_calls is new (Perfgate measures this metric differently since version *"])

    stored.run("--perf-update", "new").assert_outcomes(passed=1)
    (path,) = (stored.path / "baselines" / "portable").rglob("test_case.json")
    (row,) = [row for row in json.loads(path.read_text())["rows"] if "metrics" in row]
    assert row["ways"] == {PYTHON_CALLS: 2}
    assert row["metrics"][PYTHON_CALLS] == [8.0, None]

    (stored.path / "grown").touch()
    stored.run().assert_outcomes(failed=1)
    assert (count(stored).verdict, count(stored).reference) == ("regressed", 8.0)


def test_what_an_earlier_version_predicted_is_no_regression(exact):
    exact.write("def test_it(perf):\n    perf(Workload('torch_programs:Stack', {'fault': 'call'}))\n")
    exact.run(*NONE, "--perf-update", "new").assert_outcomes(passed=1)
    (path,) = exact.portable
    document = json.loads(path.read_text())
    (row,) = [row for row in document["rows"] if "metrics" in row]
    assert row.pop("ways") == dict.fromkeys(PREDICTED, 2)
    row["metrics"] = {name: [value / 2, spread] for name, (value, spread) in row["metrics"].items()}
    row["metrics"]["flops"][0] *= 2
    path.write_text(json.dumps(document))

    result = exact.run(*NONE)

    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines([f"*{ALL_FOUR} Store it again with: pytest*--perf-update new"])
    exact.run(*NONE, "--perf-update", "new").assert_outcomes(passed=1)
    assert "differently" not in exact.run(*NONE).stdout.str()
    kept, predicted = [row for row in json.loads(path.read_text())["rows"] if "metrics" in row]
    assert kept["metrics"].keys() == {"flops", "leaked_bytes"}
    assert predicted["ledger"]["work"]
    assert "ledger" not in kept  # the tables of the newer row are read for these metrics too
