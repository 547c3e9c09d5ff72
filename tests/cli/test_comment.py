"""``perfgate comment``: one comment, kept up to date, of artifacts that nobody has to trust."""

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from perfgate.cli.main import main
from perfgate.records import untrusted
from perfgate.reports.comment import MARKER, MOST_LINES
from tests.support.forge import BOT, SHA, Forge, event, pull, serving, written
from tests.support.runs import CASE, write_run

HOSTILE = "x.py::t[<img src=x onerror=alert(1)>`](http://evil)|@everyone\n# Title\u202e]"


def verdict(case: str = CASE, name: str = "regressed", **more: Any) -> dict[str, Any]:
    """A verdict's line."""
    about = {"change": 0.2, "reference": 0.02, "candidate": 0.024, "why": "<b>because</b>"}
    return {"kind": "verdict", "case": case, "metric": "step_time_s", "verdict": name, **about, **more}


def zipped(folder: Path, lines: Sequence[Any], name: str = "perf_output/run.jsonl") -> bytes:
    """An artifact with one run file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, write_run(folder / "run.jsonl", lines).read_bytes())
    return buffer.getvalue()


@pytest.fixture
def forge() -> Iterator[Forge]:
    """A server that speaks both APIs."""
    with serving(Forge()) as found:
        yield found


@pytest.fixture
def github(forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Forge:
    """The variables of a workflow on ``workflow_run``."""
    monkeypatch.setenv("GITHUB_API_URL", forge.url)
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(event(tmp_path / "event.json")))
    return forge


def test_one_comment_is_written_and_then_kept_up_to_date(github: Forge, tmp_path: Path) -> None:
    github.comments = [written(1, "somebody", f"{MARKER}\nmine")]
    github.artifact = zipped(tmp_path, [verdict()])
    assert main(["comment", "--artifact", "perf", "--link", "https://example.org/run/99"]) == 0
    github.artifact = zipped(tmp_path, [verdict(name="pass", change=0.0)])
    assert main(["comment", "--artifact", "perf"]) == 0

    assert len(github.comments) == 2
    other, ours = github.comments
    assert other["body"] == f"{MARKER}\nmine"  # another's comment that begins alike is left alone
    assert ours["user"]["login"] == BOT
    assert "**Nothing got worse.**" in ours["body"]
    assert SHA[:10] in ours["body"]


def test_dry_prints_it_and_asks_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many = [verdict(f"a.py::t[{number}]") for number in range(500)]
    run = write_run(tmp_path / "run.jsonl", many, failed={"a.py::x": "no"}, shards={"missing": [2]})

    assert main(["comment", str(run), "--dry", "--link", "https://example.org/run/99"]) == 0

    text = capsys.readouterr().out
    assert len(text.splitlines()) <= MOST_LINES
    assert "**500 metrics got worse, 1 case failed before a verdict, 1 shard is missing.**" in text
    assert "and 470 more rows" in text
    assert "[The run](https://example.org/run/99)" in text
    assert "+20.0%" in text
    assert "because" not in text


def test_a_run_that_was_stopped_is_no_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run.jsonl", [verdict(name="pass", change=0.0)], stopped=2)

    assert main(["comment", str(run), "--dry"]) == 0

    assert "**1 run stopped before the last case.**" in capsys.readouterr().out


def test_names_are_shown_as_text(github: Forge, tmp_path: Path) -> None:
    github.artifact = zipped(tmp_path, [verdict(HOSTILE, metric="`<script>`|")])

    assert main(["comment", "--artifact", "perf"]) == 0

    body = github.comments[0]["body"]
    row = next(line for line in body.splitlines() if "onerror" in line)
    assert "<img" not in body
    assert "<script" not in body
    beside = re.sub(r"(?<!\\)`[^`]*`", "", row)  # what is not in a code span
    assert row.count("`") == 4  # two spans, of the case and of the metric, that nothing leaves
    assert not re.search(r"[`@\[]|http", beside)  # so nobody is mentioned, and nothing is a link
    assert "# Title" in row
    assert "\u202e" not in body
    assert row.count("|") == body.splitlines()[body.splitlines().index(row) - 1].count("|")


@pytest.mark.parametrize(
    ("lines", "name", "told"),
    [
        ([verdict(change=float("1e308") * 10)], "run.jsonl", "no finite number"),
        (
            ['{"kind": "verdict", "case": "a", "metric": "b", "verdict": "pass", "change": 1e999}'],
            "r.jsonl",
            "no finite",
        ),
        ([verdict(candidate="12")], "run.jsonl", "no finite number"),
        ([verdict(name="<b>great</b>")], "run.jsonl", "is no verdict"),
        (["[" * 100_000], "run.jsonl", "is no JSON object"),
        ([verdict()], "../../.bashrc.jsonl", "leads out of its folder"),
        ([verdict()], "/etc/cron.d/run.jsonl", "leads out of its folder"),
        ([verdict()], "nothing.txt", "holds no run file"),
    ],
)
def test_a_hostile_artifact_ends_in_one_sentence(
    github: Forge, tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[Any], name: str, told: str
) -> None:
    github.comments = [written(1, BOT, f"{MARKER}\n**Nothing got worse.**")]
    github.artifact = zipped(tmp_path, lines, name)

    assert main(["comment", "--artifact", "perf"]) == 2

    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1
    body = github.comments[0]["body"]  # what stood there is not about this commit
    assert "Nothing is known of this commit" in body
    assert "great" not in body
    assert len(github.comments) == 1


def test_ten_gigabytes_are_not_read(
    github: Forge, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with a hole, and an archive that unpacks to more than is read of one."""
    monkeypatch.setattr(untrusted, "LIMIT_BYTES", 20 * 2**20)
    sparse = write_run(tmp_path / "sparse.jsonl", [verdict()])
    with sparse.open("r+b") as file:
        file.truncate(10 * 10**9)
    bomb = tmp_path / "bomb.zip"
    line = b'{"kind": "weather", "text": "' + b"0" * 2**20 + b'"}\n'
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("run.jsonl", "w") as file:
        file.write(write_run(tmp_path / "run.jsonl", [verdict()]).read_bytes())
        for _ in range(untrusted.LIMIT_BYTES // len(line) + 2):
            file.write(line)

    for path in (sparse, bomb):
        assert main(["comment", str(path)]) == 2
        assert "is larger than what is read of one" in capsys.readouterr().err
    assert len(github.comments) == 1
    assert "is larger than" in github.comments[0]["body"]


@pytest.mark.parametrize(
    "pulls", [[], [pull(7, "0" * 40)], [pull(7), pull(8)], [pull(7, repository="stranger/other")]], ids=str
)
def test_nothing_is_posted_where_there_is_not_exactly_one_pull_request(
    github: Forge, tmp_path: Path, capsys: pytest.CaptureFixture[str], pulls: list[dict[str, Any]]
) -> None:
    github.pulls = pulls
    github.artifact = zipped(tmp_path, [verdict()])

    assert main(["comment", "--artifact", "perf"]) == 0

    assert "nothing was posted" in capsys.readouterr().out
    assert not github.comments
    assert not any("artifacts" in asked for asked in github.asked)


def test_a_moved_bar_is_told_first(github: Forge, tmp_path: Path) -> None:
    github.files = [
        {"filename": "baselines/cpu/test_x.json"},
        {"filename": "perf_tests/test_x.py", "patch": "@@ -1 +1 @@\n-    tolerance=0.01\n+    tolerance=0.5"},
        {"filename": "src/model.py", "patch": "+    return 1\n     tolerance"},
    ]
    github.artifact = zipped(tmp_path, [verdict(name="pass", change=0.0)])

    assert main(["comment", "--artifact", "perf"]) == 0

    first = next(line for line in github.comments[0]["body"].splitlines() if line.startswith("**"))
    assert first == "**This change moves its own bar: `baselines/cpu/test_x.json`, `perf_tests/test_x.py`.**"


def test_gitlab(forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_EVENT_PATH", raising=False)
    known = {"GITLAB_CI": "true", "CI_API_V4_URL": forge.url, "GITLAB_TOKEN": "secret", "CI_PROJECT_ID": "9"}
    known |= {"CI_MERGE_REQUEST_PROJECT_ID": "5", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "9"}  # from a fork
    for name, value in {**known, "CI_MERGE_REQUEST_IID": "3", "CI_COMMIT_SHA": SHA}.items():
        monkeypatch.setenv(name, value)
    run = write_run(tmp_path / "run.jsonl", [verdict()])

    assert main(["comment", str(run)]) == 0
    assert main(["comment", str(run)]) == 0
    forge.merge_request["sha"] = "0" * 40
    assert main(["comment", str(run)]) == 0

    assert [comment["body"].count("1 metric got worse") for comment in forge.comments] == [1]
    monkeypatch.delenv("GITLAB_TOKEN")
    assert main(["comment", str(run)]) == 0  # a fork's own pipeline has none, and is not red for it
    monkeypatch.setenv("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "5")
    assert main(["comment", str(run)]) == 2
