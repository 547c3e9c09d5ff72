"""The end of a message about a name that nobody knows."""

import pytest

from perfgate.shared.errors import nearest


@pytest.mark.parametrize(
    ("known", "end"),
    [
        (("cpu", "cuda"), "; it may be cpu, cuda (did you mean cuda?)"),
        (("none",), "; it may be none"),
        ((), ""),
    ],
)
def test_the_known_names_are_listed_and_a_similar_one_is_suggested(known: tuple[str, ...], end: str) -> None:
    assert nearest("cudda", known) == end
