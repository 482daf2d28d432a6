"""What actions may answer, and what becomes of it."""

import base64
import json
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import pytest
from pydantic import BaseModel

from engine.content import Audio, Embedded, Image, Link, Reply, Text, rendered


class Colour(StrEnum):
    RED = "red"


class Point(BaseModel):
    x: int
    when: date = date(2026, 11, 1)


class Spoken(BaseModel):
    x: int

    def __str__(self) -> str:
        return f"x is {self.x}"


@dataclass
class Pair:
    left: int
    right: Colour


@pytest.mark.parametrize(
    ("answer", "value", "text"),
    [
        ("plain", "plain", "plain"),
        (7, 7, "7"),
        (True, True, "true"),
        (2.5, 2.5, "2.5"),
        ([], [], "[]"),
        ([1, "é"], [1, "é"], '[\n  1,\n  "é"\n]'),
        (Colour.RED, "red", "red"),
        (Point(x=1), {"x": 1, "when": "2026-11-01"}, '{\n  "x": 1,\n  "when": "2026-11-01"\n}'),
        (Spoken(x=1), {"x": 1}, "x is 1"),
        ({"p": Point(x=1)}, {"p": {"x": 1, "when": "2026-11-01"}}, None),
    ],
)
def test_plain_answer_is_a_value_and_its_text(answer: object, value: object, text: str | None) -> None:
    found, (block,) = rendered(answer)
    assert found == value and json.loads(json.dumps(found)) == value
    assert block["type"] == "text" and (text is None or block["text"] == text)


def test_dataclass_answer_is_a_value() -> None:
    assert rendered(Pair(1, Colour.RED))[0] == {"left": 1, "right": "red"}


def test_no_answer_is_no_value_and_no_content() -> None:
    assert rendered(None) == (None, ())


def test_content_becomes_blocks_in_wire_form() -> None:
    assert rendered(Text("hi")) == (None, ({"type": "text", "text": "hi"},))
    encoded = base64.b64encode(b"\x00\xff").decode()
    assert Image(b"\x00\xff").block() == {"type": "image", "data": encoded, "mimeType": "image/png"}
    assert Audio(b"\x00\xff").block() == {"type": "audio", "data": encoded, "mimeType": "audio/wav"}
    assert Link("a://b", "b").block() == {"type": "resource_link", "uri": "a://b", "name": "b"}
    assert Link("a://b", "b", "text/css").block()["mimeType"] == "text/css"


@pytest.mark.parametrize(("contents", "key", "value"), [("hi", "text", "hi"), (b"\x00", "blob", "AA==")])
def test_embedded_resource_carries_text_or_bytes(contents: str | bytes, key: str, value: str) -> None:
    assert Embedded("a://b", contents, "x/y").block() == {
        "type": "resource",
        "resource": {"uri": "a://b", "mimeType": "x/y", key: value},
    }


def test_list_of_content_is_several_blocks() -> None:
    assert [block["type"] for block in rendered([Text("a"), Image(b"")])[1]] == ["text", "image"]


def test_reply_has_blocks_and_a_value_beside_them() -> None:
    value, blocks = rendered(Reply(Text("a"), Text("b"), value=Point(x=2)))
    assert value == {"x": 2, "when": "2026-11-01"} and [block["text"] for block in blocks] == ["a", "b"]
