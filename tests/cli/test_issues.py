"""``perfgate issues``: one issue for each change, however often it is seen."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from perfgate.cli.main import main
from tests.cli.test_history import CASE, CHANGED, history
from tests.support.forge import REPOSITORY, Forge, serving, written

SINCE = ("--since", "2026-01-01")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history in which transformers moved once, and each step got five operator calls and 5% more time."""
    return history(tmp_path_factory.mktemp("moved"), lambda number: 0.02 * (1.05 if number >= CHANGED else 1))


@pytest.fixture
def forge(monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    """A server that speaks both APIs, and the variables of a nightly workflow of GitHub."""
    with serving(Forge()) as found:
        monkeypatch.setenv("GITHUB_API_URL", found.url)
        monkeypatch.setenv("GITHUB_TOKEN", "secret")
        monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
        yield found


def test_a_change_gets_one_issue_though_it_is_seen_each_night(
    store: Path, forge: Forge, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["issues", "--from", str(store), *SINCE]) == 0
    assert main(["issues", "--from", str(store), *SINCE]) == 0

    (issue,) = forge.issues
    assert CASE in issue["title"]
    assert "transformers 5.22.2 to 5.23.0" in issue["body"]
    assert f"`perfgate bisect CASE --good {'24' * 6} --bad {'25' * 6}`" in issue["body"]
    assert "1 has an issue already" in capsys.readouterr().out


def test_somebody_elses_issue_that_looks_alike_stands_for_nothing(store: Path, forge: Forge) -> None:
    assert main(["issues", "--from", str(store), *SINCE]) == 0
    forge.issues = [written(1, "somebody", forge.issues[0]["body"])]

    assert main(["issues", "--from", str(store), *SINCE]) == 0

    assert len(forge.issues) == 2


def test_gitlab_takes_them_too(store: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_REPOSITORY")
    monkeypatch.setenv("CI_PROJECT_ID", "5")
    monkeypatch.setenv("CI_API_V4_URL", forge.url)
    monkeypatch.setenv("GITLAB_TOKEN", "secret")

    for _ in range(2):
        assert main(["issues", "--from", str(store), *SINCE]) == 0

    assert len(forge.issues) == 1


def test_what_is_older_has_none_and_dry_opens_none(
    store: Path, forge: Forge, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["issues", "--from", str(store), "--since", "2026-02-01"]) == 0
    assert "Nothing got worse since 2026-02-01." in capsys.readouterr().out
    assert main(["issues", "--from", str(store), *SINCE, "--dry"]) == 0
    assert "perfgate-change" in capsys.readouterr().out
    assert forge.issues == []


def test_without_a_ci_system_the_refusal_names_dry(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    monkeypatch.delenv("CI_PROJECT_ID", raising=False)
    assert main(["issues", "--from", str(store)]) == 2
    assert "--dry" in capsys.readouterr().err
