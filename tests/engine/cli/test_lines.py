"""What a typed line means as arguments."""

from enum import StrEnum
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import BaseModel

from engine import World, action
from engine.cli.lines import arguments, joined, takes_lines, tokenized
from engine.errors import InvalidArguments


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Parameters(BaseModel):
    """What a painter's action takes."""

    count: int
    colour: Colour = Colour.RED
    tags: list[str] = []
    wet: bool = False
    note: str = ""
    remark: str | None = None
    anything: Any = None


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("5", {"count": 5}),
        ("count=5 colour=blue", {"count": 5, "colour": "blue"}),
        ("5 blue", {"count": 5, "colour": "blue"}),
        ("colour=blue 5", {"colour": "blue", "count": 5}),
        ('5 tags=["a b", "c"] wet=true', {"count": 5, "tags": ["a b", "c"], "wet": True}),
        ('note="two words" 1', {"note": "two words", "count": 1}),
        ("note='it is \"so\"' 1", {"note": 'it is "so"', "count": 1}),
        ('note="one\\nline" 1', {"note": "one\nline", "count": 1}),
        ("note=5 1", {"note": "5", "count": 1}),
        ("remark=null note=null 1", {"remark": None, "note": "null", "count": 1}),
        ('anything="5" 1', {"anything": "5", "count": 1}),
        ("anything=5 1", {"anything": 5, "count": 1}),
        ("note=a=b 1", {"note": "a=b", "count": 1}),
        ("unknown=1 5", {"unknown": 1, "count": 5}),
        ("", {}),
        ("x", {"count": "x"}),
    ],
)
def test_a_line_gives_arguments(line: str, meaning: dict[str, Any]) -> None:
    assert arguments(Parameters, line) == meaning


class Note(BaseModel):
    """A line of text."""

    times: int
    text: str


@pytest.mark.parametrize(
    "text", ["milk", "buy milk", "it's  fine", 'say "hi" now', "{not json", "[1, 2", "don't 'stop"]
)
def test_the_last_text_takes_the_rest_of_the_line_as_it_is(text: str) -> None:
    assert arguments(Note, f"2 {text}") == {"times": 2, "text": text}


def test_too_many_values_are_refused_by_number_and_name() -> None:
    class Number(BaseModel):
        a: int

    with pytest.raises(InvalidArguments, match=r"That is 2 values, but 1 can be given: a\."):
        arguments(Number, "5 6")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_line_is_cut_into_tokens_that_cover_it(line: str) -> None:
    tokens = tokenized(line)
    assert "".join(line.split()) == "".join("".join(token.raw.split()) for token in tokens)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.integers())
def test_the_words_of_a_shell_stay_whole(text: str, number: int) -> None:
    assume(text[:1] not in ("'", '"'))
    line = joined([f"text={text}", f"times={number}"])
    assert arguments(Note, line) == {"text": text, "times": number}


def test_a_world_with_an_action_command_of_one_text_takes_lines() -> None:
    class Story(World):
        @action
        def command(self, text: str) -> str:
            """Do something."""
            return text

    class Remote(World):
        @action
        def command(self, number: int) -> int:
            """Send a number."""
            return number

    assert takes_lines(Story.definition)
    assert not takes_lines(Remote.definition)
