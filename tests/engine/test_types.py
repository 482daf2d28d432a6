"""JSON arrays that are read element by element."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.types import Json, dumped, elements

VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(values=st.lists(VALUES), indent=st.none() | st.integers(0, 3))
def test_elements_are_what_the_whole_array_would_give(values: list[Json], indent: int | None) -> None:
    assert list(elements(dumped(values))) == values
    assert list(elements(json.dumps(values, indent=indent))) == values


@pytest.mark.parametrize(
    "text", ["", "null", "{}", "[", "[1", "[1,", "[1,]", "[,]", "[1 2]", "[1]]", "[1] 2", "[]x", "]", "[" * 100_000]
)
def test_what_is_no_array_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        list(elements(text))
