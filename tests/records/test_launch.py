"""Launches and verdicts: what is written to a run file and read back is the same, to the last field."""

import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfgate.records.details import GROUPS, Details, DeviceSeen, Findings, Span, Start, Turns, Yardstick
from perfgate.records.launch import KEYS, Launch, PassName, Side
from perfgate.records.runfile import read
from perfgate.records.verdict import Name, Verdict
from perfgate.shared.errors import UserError
from tests.support.runs import CASE, launch_line, write_run

Draw = Callable[..., Any]
KNOWN_DETAILS = {group.prefix + item.name for group in GROUPS.values() for item in fields(group)} | {"output"}
TIMES = st.floats(1e-9, 1e9)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ANYTHING = st.recursive(st.none() | st.booleans() | st.integers() | NUMBERS | WORDS, st.lists, max_leaves=4)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A value or nothing."""
    return st.none() | strategy


def unknown(known: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Keys of another Perfgate."""
    return st.dictionaries(WORDS.filter(lambda key: key not in known), ANYTHING, max_size=2)


DETAILS = st.builds(
    Details,
    span=st.builds(Span, maybe(NUMBERS), maybe(NUMBERS)),
    start=st.builds(Start, st.sampled_from([None, "forked", "spawned"]), maybe(WORDS)),
    turns=st.builds(Turns, maybe(WORDS), maybe(WORDS), NUMBERS, maybe(st.integers())),
    yardstick=st.builds(
        Yardstick,
        WORDS,
        maybe(st.integers()),
        maybe(st.integers()),
        st.dictionaries(WORDS, st.lists(NUMBERS)),
        WORDS,
    ),
    seen=st.builds(
        DeviceSeen,
        maybe(WORDS),
        maybe(st.just("cannot tell") | st.lists(st.integers())),
        st.dictionaries(WORDS, maybe(NUMBERS)),
        st.dictionaries(WORDS, NUMBERS),
        maybe(st.just("cannot tell") | NUMBERS),
    ),
    findings=st.builds(
        Findings,
        st.dictionaries(WORDS, ANYTHING),
        st.dictionaries(WORDS, st.lists(NUMBERS)),
        st.dictionaries(WORDS, ANYTHING),
        st.dictionaries(WORDS, st.integers()),
        st.dictionaries(WORDS, ANYTHING),
    ),
    output=WORDS,
    more=unknown(KNOWN_DETAILS),
)
LAUNCHES = st.builds(
    Launch,
    case=WORDS,
    workload=WORDS,
    launch=st.integers(),
    metrics=st.dictionaries(WORDS, TIMES | st.lists(TIMES, min_size=1), max_size=3),
    side=st.sampled_from(get_args(Side)),
    pair=maybe(st.integers()),
    yardstick_s=maybe(st.lists(TIMES, min_size=1)),
    invalid=maybe(WORDS),
    fault=st.booleans(),
    final=st.booleans(),
    server=maybe(WORDS),
    pass_name=maybe(st.sampled_from(get_args(PassName))),
    samples=maybe(st.integers()),
    tokens=maybe(st.integers()),
    details=DETAILS,
    ways=st.dictionaries(WORDS, st.integers(1, 9), max_size=2),
    unknown=unknown(KEYS),
)
VERDICTS = st.builds(
    Verdict,
    case=WORDS,
    metric=WORDS,
    verdict=st.sampled_from(get_args(Name)),
    change=maybe(NUMBERS),
    low=maybe(NUMBERS),
    high=maybe(NUMBERS),
    smallest_detectable=maybe(NUMBERS),
    reference=maybe(NUMBERS),
    candidate=maybe(NUMBERS),
    launches=st.integers(),
    tolerance=maybe(NUMBERS),
    why=WORDS,
    expected=WORDS,
    against=st.sampled_from(["baseline", "reference", "vanilla"]),
    unknown=unknown({*Verdict.__dataclass_fields__, "kind"}),
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])  # beside other work
@given(launch=LAUNCHES, verdict=VERDICTS)
def test_what_is_written_is_read_back_the_same(
    launch: Launch, verdict: Verdict, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("run") / "run.jsonl"
    lines = [launch.to_json(), {"kind": "verdict", **verdict.to_json()}]

    run = read(write_run(path, lines, ways=launch.ways))

    assert run.launches == (launch,)
    assert run.verdicts == (verdict,)
    assert run.launches[0].to_json() == lines[0]
    assert {"kind": "verdict", **run.verdicts[0].to_json()} == lines[1]


@pytest.mark.parametrize("group", GROUPS.values())
def test_no_two_facts_of_a_launch_share_a_name_in_the_run_file(group: type) -> None:
    own = {group.prefix + item.name for item in fields(group)}
    others = [g.prefix + item.name for g in GROUPS.values() if g is not group for item in fields(g)]
    assert not own & {*others, "output"}


def test_facts_that_have_their_default_take_no_room() -> None:
    assert "details" not in Launch("case", "w", 0, {}).to_json()
    assert Launch("case", "w", 0, {}).detailed(turns=Turns(injected=0.03)).to_json()["details"] == {"injected": 0.03}
    seen = DeviceSeen("GPU-1", others=[])
    assert json.loads(json.dumps(Details(seen=seen).to_json())) == {"device": "GPU-1", "others": []}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("pass", "timed", "key 'pass' is 'timed'; it is one of dry, counters"), ("details", [1], "key 'details' is not")],
)
def test_a_launch_of_an_unknown_pass_or_with_details_of_another_shape_is_refused(
    key: str, value: Any, said: str, tmp_path: Any
) -> None:
    with pytest.raises(UserError, match=said):
        read(write_run(tmp_path / "run.jsonl", [launch_line() | {"case": CASE, key: value}]))
