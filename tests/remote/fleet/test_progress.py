"""How far a fleet is, read off what its shards write."""

import json
from pathlib import Path

from perfgate.remote.fleet.progress import Progress


def line(kind: str, **about: str) -> str:
    """One line of a run file."""
    return json.dumps({"kind": kind, "case": "test_a.py::test_it", **about}) + "\n"


def test_cases_count_once_whole_lines_alone_and_garbage_ends_nothing(tmp_path: Path) -> None:
    part = tmp_path / "shard-1" / "try-1-x" / "run.main.part"
    part.parent.mkdir(parents=True)
    progress = Progress(tmp_path)
    assert progress.look() == ""
    part.write_text(line("verdict", verdict="pass") + "[" * 100_000 + "\n\x00{garbage\n" + line("case")[:-10])
    assert progress.look() == ""
    part.write_text(part.read_text() + line("case")[-10:])
    assert progress.look() == "1 case (1 pass)"
    # The run file is made of its parts at the end.
    part.with_name("run.jsonl").write_text(line("verdict", verdict="pass") + line("case"))
    assert progress.look() == "1 case (1 pass)"
