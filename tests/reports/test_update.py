from perfgate.cases.update import Update
from perfgate.reports.update import REASONS, update_line


def test_cases_that_were_not_stored_stand_by_reason_and_a_line_names_the_most_frequent_reasons_alone() -> None:
    alike = {f"test_a.py::test[{n}]": f"it was skipped in its test: test_a.py::test[{n}] could not run" for n in "abcd"}
    apart = {f"test_b.py::test[{n}]": f"it failed in its test: it is number {n}" for n in range(REASONS + 2)}
    line = update_line(Update(left=apart | alike), "ci/perf")
    assert "Not stored: test_a.py::test[a], test_a.py::test[b], test_a.py::test[c] and 1 more (it was skipped" in line
    assert line.count("(it ") == REASONS
    assert line.endswith("; and 3 more cases, whose reasons the report has.")
