"""What moved in an upgrade: renamed modules, one entry for one cause, and the order of the entries."""

from typing import Any

from perfgate.gate.attribution import growth
from perfgate.gate.causes import Moved, causes, module
from perfgate.gate.renames import renamed
from perfgate.records.layers import collapsed
from perfgate.records.verdict import Verdict

LAYERS = range(12)


def ledger(work: dict[str, dict[str, list[int]]], **more: Any) -> dict[str, Any]:
    """As a dry run's details hold it."""
    return {"work": collapsed(work), **more}


def model(attention: str = "attn", calls: int = 3, name: str = "h") -> dict[str, dict[str, list[int]]]:
    """The work of a model of twelve layers, whose attention has a name."""
    work = {"head": {"contractions": [1, 900, 90]}}
    for number in LAYERS:
        work[f"{name}.{number}.{attention}"] = {"contractions": [4, 4000 + number, 400], "other": [calls, 0, 30]}
        work[f"{name}.{number}.mlp"] = {"contractions": [2, 8000, 800]}
    return work


def test_a_renamed_module_did_not_grow() -> None:
    before, now = ledger(model()), ledger(model("self_attention", name="layers"))

    found = renamed(before, now)

    assert found["h.10.attn"] == "layers.10.self_attention"
    assert found["h.2.mlp"] == "layers.2.mlp", "of equal modules the order decides"
    assert len(found) == 2 * len(LAYERS)
    assert growth("operator_calls", before, now) == ""


def test_a_renamed_module_that_also_grew_shows_what_it_grew_by() -> None:
    before, now = ledger(model()), ledger(model("self_attention", calls=5))

    assert growth("operator_calls", before, now) == "grown: h.{0-11}.self_attention (other) +2 each"


def test_a_module_that_is_really_new_is_growth() -> None:
    more = model() | {"extra": {"contractions": [1, 77, 7]}}

    assert renamed(ledger(model()), ledger(more)) == {}
    assert growth("flops", ledger(model()), ledger(more)) == "grown: extra (contractions) +77 FLOP"


def test_the_largest_tensor_that_a_peak_did_not_hold_before_is_named() -> None:
    held = {"bytes": 1 << 20, "path": "head", "part": "weights", "tensor": "float32[512, 512]"}
    mask = {"bytes": 4 << 20, "path": "", "part": "temporaries", "tensor": "bool[1, 1, 2048, 2048]"}
    before = ledger({}, largest=[held], memory={"head": {"weights": 1 << 20}})
    now = ledger({}, largest=[mask, held], memory={"": {"temporaries": 4 << 20}, "head": {"weights": 1 << 20}})

    verdict = judged("predicted_peak_bytes", 1 << 20, 5 << 20, (before, now)).verdict

    assert verdict.why.endswith(
        "largest new tensor at the peak: bool[1, 1, 2048, 2048] of 4.00 MiB in the model itself, or outside of it"
    )


def judged(name: str, before: float, now: float, ledgers: Any = ({}, {}), case: str = "c", kind: str = "bert") -> Moved:
    """A move of one metric, judged as a run judges it."""
    from perfgate.gate.launches import grown
    from perfgate.gate.verdicts import Comparison, exact_verdict

    held = Comparison(case, name, before, now, 1, 0.01)
    return Moved(exact_verdict(held, grown(held, *ledgers)), kind, ledgers)


def test_one_cause_that_shows_in_nine_cases_is_one_entry() -> None:
    moved = []
    for number in range(9):
        prefix = "bert." if number % 2 else ""  # under a head the model has a name
        names = model(name=f"{prefix}encoder.layer"), model(name=f"{prefix}encoder.layer", calls=4)
        sides = ledger(names[0]), ledger(names[1])
        for name, before, now in (("operator_calls", 109, 121), ("moved_bytes", 14_000, 14_200)):
            moved.append(judged(name, before, now, sides, case=f"case-{number}"))

    (cause,) = causes(moved)

    assert (cause.architecture, cause.root) == ("bert", "encoder.layer.*.attn")
    assert len(cause.cases) == 9
    assert [verdict.metric for verdict in cause.worst] == ["operator_calls", "moved_bytes"]


def test_what_follows_from_a_module_is_not_the_root() -> None:
    more = model() | {f"h.{n}.extra": {"contractions": [1, 10, 1]} for n in LAYERS}
    now = more | {"optimizer": {"element-wise": [400, 1, 1]}}

    (cause,) = causes([judged("operator_calls", 109, 521, (ledger(model()), ledger(now)))])

    assert cause.root == "h.*.extra"


def test_the_worst_comes_first() -> None:
    moved = [
        judged("operator_calls", 100, 102, case="little", kind="a"),
        judged("operator_calls", 100, 136, case="much", kind="b"),
        judged("predicted_host_syncs", 60, 61, case="sync", kind="c"),
        judged("predicted_peak_bytes", 100, 7400, case="peak", kind="d"),
        Moved(Verdict("lost", "dry_run", "regressed"), "e"),
    ]

    assert [cause.cases[0] for cause in causes(moved)] == ["lost", "sync", "peak", "much", "little"]


def test_halving_ranks_as_doubling() -> None:
    better = [judged("flops", 100, 50, case="half", kind="a"), judged("flops", 100, 30, case="third", kind="b")]

    assert [cause.cases[0] for cause in causes(better)] == ["third", "half"]


def test_a_modules_path_is_the_same_under_any_head_and_in_any_layer() -> None:
    paths = ["model.layers.3.mlp", "layers.12.mlp", "llama.layers.0.mlp", "model.model.layers.1.mlp"]

    assert {module(path, "llama") for path in paths} == {"layers.*.mlp"}
    assert module("model", "llama") == module("", "llama") == ""
    assert module("block2.conv1", "resnet") == "block2.conv1"


def test_pythons_calls_name_a_file_only_where_no_module_moved() -> None:
    sides = ledger(model()), ledger(model(calls=4))
    files = ({"python_calls": {"lib/masks.py": {"make": 5}}}, {"python_calls": {"lib/masks.py": {"make": 900}}})
    python = judged("python_calls", 1000, 1895, files)

    assert [cause.root for cause in causes([python])] == ["lib/masks.py"]
    (both,) = causes([python, judged("operator_calls", 109, 121, sides)])
    assert both.root == "h.*.attn"
    assert [verdict.metric for verdict in both.worst] == ["python_calls", "operator_calls"]
