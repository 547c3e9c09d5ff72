"""Whether a case that cannot run here is skipped, or fails because it ran before."""

import pytest

from perfgate.cases.never_ran import never_ran_here
from perfgate.records.baselines import Baseline
from perfgate.records.launch import Launch

HELD = Baseline("case", "0" * 64, "", "", "", ())


def ended(reason: str, side: str = "candidate") -> Launch:
    return Launch("case", "hash", 0, {}, side=side, pass_name="memory").rejected(reason, fault=True)


@pytest.mark.parametrize(
    ("reason", "held", "fits_never"),
    [
        ("out of memory: it does not fit", [None, None], True),
        ("out of memory: it does not fit", [None, HELD], False),
        ("not emulated: the emulated GPU computes no values", [None, None], True),
        ("not emulated: the emulated GPU computes no values", [None, HELD], True),
        ("not emulated: the emulated GPU computes no values", [HELD, None], False),
        ("crash: ValueError", [None, None], False),
    ],
)
def test_what_never_ran_here_is_skipped_and_what_did_fails(
    reason: str, held: list[Baseline | None], fits_never: bool
) -> None:
    faulty = [ended(reason)]
    assert never_ran_here(faulty, faulty, held, beside_reference=False) is fits_never


def test_beside_a_reference_it_is_skipped_only_if_the_reference_is_refused_too() -> None:
    refused = ended("not emulated: the emulated GPU computes no values")
    before = ended("not emulated: the emulated GPU does not implement it", side="reference")
    assert not never_ran_here([refused], [refused], [], beside_reference=True)
    assert never_ran_here([refused, before], [refused], [], beside_reference=True)
