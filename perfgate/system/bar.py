"""Finds changes of a branch that move the bar: baselines, tolerances, promises, options, and skipped cases."""

import re
from collections.abc import Sequence
from pathlib import Path

from perfgate.shared.errors import UserError
from perfgate.system.git import commit_of, git

CODE = ("*.py", "*.toml", "*.ini", "*.cfg")
# The files that CI systems run, relative to the top of the repository.
CI_FOLDERS, CI_FILE = (".github/workflows", ".gitlab", ".buildkite"), ".gitlab-ci.yml"
INI = re.compile(r"(\.?pytest\.(ini|toml)|tox\.ini|setup\.cfg|pyproject\.toml)$")
OPTION = r"--perf-|(^|[^[:alnum:]_])perf_[[:alnum:]_]+ *="  # matches options of this suite, as a pattern for git
SHOWN = "(?:html|output|trace|durations)\\b"  # options that do not affect a decision
OPTIONS = re.compile(rf"^[+-].*(?:--perf-(?!{SHOWN})|(?<!\w)perf_(?!{SHOWN})\w+ *=)")
SELECTED = re.compile(r"^[+-].*(?:\baddopts\b|--deselect|--ignore)")
# The branches to compare with if nobody names one.
DEFAULT_BRANCHES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
TOLERANCE = "tolerance"
SKIP = re.compile(r"^\+.*(?:pytest\.skip|mark\.skip|mark\.xfail|pytest\.xfail|importorskip)")
# A mark that makes a case run less often or only dry; or the promise of an effect, such as "< 0.7x".
NARROWER = re.compile(r"^[+-].*\b(?:tier\s*=|dry\s*=\s*True)")
PROMISE = re.compile(r"^-.*[\"'][^\"']*[<>]\s*[\d.]+\s*x")
TEST_FILE = re.compile(r"(test_.*|.*_test|conftest)\.py$")
TEST = re.compile(r"^([+-])\s*(?:async\s+)?def\s+(test_\w+)")
ANY_TEST = re.compile(r"^([ +-])\s*(?:async\s+)?def\s+(test_\w+)")
# A test that takes one of these fixtures is a case of this suite.
FIXTURES = re.compile(r"(?:^[ +-]|[(,])\s*(?:perf|perfgate_perf|effect)\s*[,)]|mark\.perf\b")


def moved_bar(folder: Path, commit: str, baselines: str) -> list[str]:
    """Files that a branch changed since a commit and that move the bar.

    They hold baselines, a line with a tolerance or an option, a promise of an effect that is another one now, or a case
    that is skipped, of a larger tier, run dry alone, or gone.

    Args:
        folder: any folder of the repository.
        commit: the commit that the branch is compared with.
        baselines: the folder of the baselines, relative to ``folder``.
    """
    try:
        since = git(folder, "merge-base", commit, "HEAD")
    except UserError:  # no common ancestor, as in a shallow clone
        since = commit
    changed = ("diff", "--no-ext-diff", "--name-only", "--relative")
    # No branch changes baselines outside of the repository, and git refuses such paths.
    top = Path(git(folder, "rev-parse", "--show-toplevel")).resolve()
    inside = (folder / baselines).resolve().is_relative_to(top)
    found = git(folder, *changed, since, "--", baselines).splitlines() if inside else []
    telling = f"{TOLERANCE}|skip|xfail|def +test_|tier *=|dry *=|[<>] *[0-9.]+ *x|addopts|--deselect|--ignore|{OPTION}"
    # CI files lie at the top of the repository, wherever the suite is.
    for place, lines, where in ((folder, telling, CODE), (top, OPTION, (*CI_FOLDERS, CI_FILE))):
        looked = git(place, *changed, "--no-renames", "-G", lines, since, "--", *where)
        for name in looked.splitlines():
            if moves(name, git(place, "diff", "--no-ext-diff", "-W", since, "--", name)):
                found.append(name)
    return list(dict.fromkeys(found))


def moves(name: str, patch: str) -> bool:
    """Whether a patch of a file changes a tolerance, an option or a promise, or leaves a case out of runs.

    Args:
        name: the file's name. Tolerances count only in test files, because other code may use the word for other
            things.
        patch: the changed lines, best with the functions around them.
    """
    lines = patch.splitlines()
    of_ini = INI.match(Path(name).name)
    if (of_ini or is_ci(name)) and any(OPTIONS.match(line) or (of_ini and SELECTED.match(line)) for line in lines):
        return True
    of_cases = any(FIXTURES.search(line) for line in lines)
    if of_cases and (fewer_cases(lines) or narrower(lines) or any(map(PROMISE.match, lines))):
        return True
    tells = of_cases or not name.endswith(".py") or TEST_FILE.match(Path(name).name)
    return bool(tells) and any(line[:1] in "+-" and TOLERANCE in line for line in lines if line)


def is_ci(name: str) -> bool:
    """Whether CI systems read their commands from a file of this name."""
    return name == CI_FILE or name.startswith(tuple(f"{folder}/" for folder in CI_FOLDERS))


def fewer_cases(lines: Sequence[str]) -> bool:
    """Whether a patch's lines skip or remove a test."""
    tests = [match.groups() for line in lines if (match := TEST.match(line))]
    gone = {name for sign, name in tests if sign == "-"} - {name for sign, name in tests if sign == "+"}
    return bool(gone) or any(SKIP.match(line) for line in lines)


def narrower(lines: Sequence[str]) -> bool:
    """Whether a patch makes existing tests run in fewer runs, or only dry."""
    tests = [(number, match) for number, line in enumerate(lines) if (match := ANY_TEST.match(line))]
    before = {match[2] for _, match in tests if match[1] in " -"}
    for number in (number for number, line in enumerate(lines) if NARROWER.match(line)):
        marked = next((match[2] for at, match in tests if at > number), None)
        if marked is None or marked in before:
            return True
    return False


def default_branch(folder: Path) -> str | None:
    """The commit of the default branch; ``None`` if none is known, or HEAD is that commit."""
    found = next((commit for name in DEFAULT_BRANCHES if (commit := commit_of(folder, name))), None)
    return None if found == commit_of(folder, "HEAD") else found
