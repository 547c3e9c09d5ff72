"""``--perf-history add`` keeps a run as soon as it ends, and refuses before it measures what it could not keep."""

import json

import pytest

from tests.support.repositories import begin, commit
from tests.support.runs import perfgate

CASE = """
def test_spin(perf):
    perf(work(rounds=1))
"""


@pytest.mark.untimed
@pytest.mark.slice
def test_a_run_is_kept_where_the_ini_file_says_on_a_commit_and_not_on_changes(suite):
    suite.write(CASE)
    refused = suite.run("--perf-history", "add")
    assert refused.ret == 4
    refused.stderr.fnmatch_lines(["*--perf-history add needs a place; name a folder or a URL as perf_history*"])

    folder = suite.path
    ini = next(path for path in folder.iterdir() if path.suffix == ".ini")
    ini.write_text(ini.read_text() + f"\nperf_history = {folder.parent / 'kept'}\n")
    begin(folder)
    first = suite.run("--perf-history", "add", "--perf-update", "new", "--perf-baselines", "../stored")
    assert first.ret == 0
    first.stdout.fnmatch_lines(["History: 1 point of this run is kept at *kept. What moved: perfgate history changes*"])

    (folder / "programs.py").write_text((folder / "programs.py").read_text() + "\n# changed\n")
    changed = suite.run("--perf-history", "add")
    assert changed.ret == 4
    changed.stderr.fnmatch_lines(["*holds changes that were not committed, and a history needs a commit*"])

    commit(folder)
    assert suite.run("--perf-history", "add", "--perf-baselines", "../stored").ret == 0
    found = json.loads(perfgate("history", "show", "spin", "--from", folder.parent / "kept", "--json").stdout)["points"]
    assert len({point["commit"] for point in found}) == 2
