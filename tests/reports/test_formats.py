"""Formats: JSON is laid out as ever, however it is made."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfgate.reports.formats import indented

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
documents = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(documents)
def test_json_is_laid_out_as_by_python(document: object) -> None:
    assert indented(document) == json.dumps(document, indent=1)


@pytest.mark.parametrize("document", [{1: [], None: {}, False: ((1, 2), [3])}, [], {}, [[]], ((),)])
def test_json_of_rare_keys_and_empty_parts(document: object) -> None:
    assert indented(document) == json.dumps(document, indent=1)
