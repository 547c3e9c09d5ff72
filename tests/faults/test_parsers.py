"""Readers are given what nobody meant to write: they end in a value or in a sentence, and in nothing else."""

import json
import time
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.faults import weights
from benchmarks.faults.answers import FIELDS
from benchmarks.faults.parsers import ends_well, parsers
from perfgate.history.table import INDEX, RUNS
from tests.support.runs import CASE, header, launch_line, workload_line

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
ODD = (
    b"",
    b"\0",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"\xff\xfe",
    b"null",
    b"1e999",
    b"-" * 5000,
    "²".encode(),
    "٣m".encode(),
)
# What loads a model is a long test, as it imports torch.
NAMES = [pytest.param(name, marks=[pytest.mark.slice] * (name in weights.READERS)) for name in parsers()]
FUZZED_S = 20
GROUPS = {
    "run files": ("run file", "untrusted run file", "part of a run", "address of run files"),
    "baselines": ("baseline", "durations", "acceptance", "trailer", "date"),
    "noise files": ("noise",),
    "options": (
        *("duration", "share", "shares", "shard", "effect", "tolerance", "limits", "mark of a case", "visible devices"),
        *("modules of layers", "requirements", "lock of uv"),
    ),
    "hub ids": ("hub id", "configuration of a model", "shapes"),
    "headers in GGUF": ("weights in GGUF",),
    "headers in safetensors": ("weights in safetensors",),
    "answers of drivers and programs": (
        *("cards of nvidia-smi", "status of nvidia-smi", "counter of energy", "script of a device"),
        *("packages of an interpreter", "origin of a package"),
    ),
    "answers of services, and files of a fleet": (
        *("pull requests of GitHub", "files of GitHub", "comments of GitHub", "issues of GitHub"),
        *("merge requests of GitLab", "notes of GitLab", "issues of GitLab", "event of a workflow", "event of a fork"),
        *("marks of issues", "plan of a fleet", "end of a shard", "bisection", "file of a history"),
    ),
}
# What once ended in something else, by its reader.
FOUND = (
    ("shard", "3/²".encode()),
    ("shard", b"1/" + b"9" * 5000),
    ("mark of a case", b'{"launches": 1e999}'),
    ("durations", b"[[[1], 2]]"),
    ("shapes", b"[1]"),
    ("requirements", b"-r requirements.txt\ntorch==2.13.0\n"),
    ("lock of uv", b"package = 3\n"),
    ("modules of layers", b"h.{0-99999999999}.mlp"),
    ("modules of layers", b"h.{5,-}.mlp"),
    ("modules of layers", "h.².mlp".encode()),
    ("visible devices", b"9" * 5000),
    ("cards of nvidia-smi", b"0, GPU-1, NVIDIA GB10, [N/A], [N/A], [N/A], [N/A]\n"),
    ("cards of nvidia-smi", b"Unable to determine the device handle\n"),
    ("status of nvidia-smi", b"1, 2\n"),
    ("status of nvidia-smi", b"nan, " * (FIELDS - 1) + b"inf\n"),
    ("pull requests of GitHub", b"[{}]"),
    ("comments of GitHub", b'[{"body": "<!-- mark -->"}]'),
    ("merge requests of GitLab", b"[]"),
    ("notes of GitLab", b'{"username": "bot"}'),
    ("issues of GitLab", b"{}"),
    ("event of a workflow", b"[]"),
    ("packages of an interpreter", b"[]"),
    ("origin of a package", b'{"vcs_info": {"commit_id": -1}}'),
    ("plan of a fleet", b'{"arguments": []}'),
    ("end of a shard", b'{"code": 1}'),
    ("end of a shard", b'{"code": 1, "attempt": "../.."}'),
    ("bisection", b'{"decided": [{"step": 1}]}'),
    ("file of a history", b"PAR1PAR1"),
    ("script of a device", b'{"devices": [{"uuid": {}}]}'),
)
VERDICT = {
    "kind": "verdict",
    "case": CASE,
    "metric": "step_time_s",
    "verdict": "pass",
    "value": 0.1,
    "reference": 0.1,
    "change": 0.0,
    "why": "",
}


@cache
def parser(name):
    lines = [header(), workload_line(CASE), launch_line(), VERDICT]
    return parsers("".join(json.dumps(line) + "\n" for line in lines).encode())[name]


def changed(data, value):
    """A copy of a JSON value in which one place holds something else, or is gone, or stands twice."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 5)):
        key = data.draw(st.sampled_from(sorted(value)))
        kept = {name: inner for name, inner in value.items() if name != key}
        return (
            kept
            if data.draw(st.booleans()) and not data.draw(st.integers(0, 3))
            else kept | {key: changed(data, value[key])}
        )
    if isinstance(value, list) and value and data.draw(st.integers(0, 5)):
        at = data.draw(st.integers(0, len(value) - 1))
        return [*value[:at], changed(data, value[at]), *value[at + data.draw(st.integers(0, 1)) :]]
    return data.draw(JSON)


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_takes_what_it_should(name):
    assert ends_well(parser(name), parser(name).valid)


@pytest.mark.parametrize(("name", "content"), FOUND, ids=lambda value: None)
def test_what_was_found_ends_in_a_value_or_a_sentence(name, content):
    ends_well(parser(name), content)


@pytest.mark.parametrize("key", [INDEX, RUNS])
def test_a_file_of_a_history_whose_own_words_are_damaged_is_refused(key):
    before, told, after = parser("file of a history").valid.partition(key.encode())
    assert not ends_well(parser("file of a history"), before + told + after[:3] + b"\x92" * 8 + after[11:])


@pytest.mark.parametrize("name", NAMES)
def test_odd_bytes_end_in_a_sentence(name):
    for content in (*ODD, parser(name).valid[:-3], parser(name).valid * 2):
        ends_well(parser(name), content)


def altered(data, valid):
    """A text that a reader takes, with one place of it changed."""
    try:
        documents = [json.loads(line) for line in valid.splitlines()] if b"\n{" in valid else [json.loads(valid)]
    except ValueError:
        documents = []
    if documents and data.draw(st.integers(0, 3)):
        at = data.draw(st.integers(0, len(documents) - 1))
        documents[at] = changed(data, documents[at])
        return "\n".join(json.dumps(document) for document in documents).encode()
    at, length = data.draw(st.integers(0, len(valid))), data.draw(st.integers(0, 8))
    return valid[:at] + data.draw(st.binary(max_size=12)) + valid[at + length :]


def fuzz(name, texts=40):
    """Give a reader so many changed texts."""

    @settings(max_examples=texts, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def read(data):
        ends_well(parser(name), altered(data, parser(name).valid))

    read()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slice
def test_a_changed_text_ends_in_a_value_or_a_sentence(name):
    fuzz(name)


# benchmarks/fuzz.py looks for as long as it is told to, guided by coverage.
@pytest.mark.slice
@pytest.mark.parametrize("group", GROUPS)
def test_each_kind_of_reader_is_fuzzed_for_20_s(group):
    end_s = time.monotonic() + FUZZED_S
    while time.monotonic() < end_s:
        for name in GROUPS[group]:
            fuzz(name)


def test_every_reader_is_in_a_group():
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(parsers())
