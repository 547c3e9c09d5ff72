"""What came of the campaign's rows is kept, so that an interrupted campaign goes on where it was."""

from dataclasses import replace

from benchmarks.faults.results import KINDS, Came, Results
from benchmarks.faults.table import faults

FIRST, SECOND, *REST = faults()


def test_only_what_ended_as_expected_is_not_run_again(tmp_path):
    results = Results.read(tmp_path / "results.jsonl")
    results.add(Came.of(FIRST, []))
    results.add(Came.of(SECOND, ["a process | was left"]))
    again = Results.read(tmp_path / "results.jsonl")
    assert (again.fine(FIRST), again.fine(SECOND), again.fine(REST[0])) == (True, False, False)
    assert not again.fine(replace(FIRST, says="something else"))
    again.add(Came.of(SECOND, []))
    assert Results.read(tmp_path / "results.jsonl").fine(SECOND)


def test_the_page_counts_complaints_and_names_what_did_not_run():
    results = Results({})
    for fault, complaints in ((FIRST, []), (SECOND, ["a process | was left"])):
        results.add(Came.of(fault, complaints))
    page = results.page([FIRST, SECOND, REST[-1]], 7)
    assert "**2 of 3 rows ran, 1 of them as expected, 1 with a complaint.**" in page
    assert f"These did not run: 1 of {REST[-1].kind}." in page
    assert "a process / was left |" in page
    assert "--seed 7" in page


def test_every_kind_is_explained_on_the_page():
    assert {fault.kind for fault in (FIRST, SECOND, *REST)} == set(KINDS)
