"""What an action may answer besides plain values: text, pictures, sound, resources."""

import base64
import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from pydantic import BaseModel, TypeAdapter
from pydantic_core import PydanticSerializationError

from engine.types import Json

Block = Mapping[str, Json]
"""One MCP content block in wire form, `{"type": "text", "text": …}`."""


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph to read."""

    text: str

    def block(self) -> Block:
        """The wire form."""
        return {"type": "text", "text": self.text}


@dataclass(frozen=True, slots=True)
class Image:
    """A picture; `data` is the file's bytes."""

    data: bytes
    mime_type: str = "image/png"

    def block(self) -> Block:
        """The wire form."""
        return {"type": "image", "data": base64.b64encode(self.data).decode(), "mimeType": self.mime_type}


@dataclass(frozen=True, slots=True)
class Audio:
    """A recording; `data` is the file's bytes."""

    data: bytes
    mime_type: str = "audio/wav"

    def block(self) -> Block:
        """The wire form."""
        return {"type": "audio", "data": base64.b64encode(self.data).decode(), "mimeType": self.mime_type}


@dataclass(frozen=True, slots=True)
class Embedded:
    """A resource's contents, carried in the answer itself."""

    uri: str
    contents: str | bytes
    mime_type: str = "text/plain"

    def block(self) -> Block:
        """The wire form."""
        return {"type": "resource", "resource": contents(self.uri, self.contents, self.mime_type)}


@dataclass(frozen=True, slots=True)
class Link:
    """A resource to read elsewhere."""

    uri: str
    name: str
    mime_type: str | None = None

    def block(self) -> Block:
        """The wire form."""
        plain = {"type": "resource_link", "uri": self.uri, "name": self.name}
        return plain | ({"mimeType": self.mime_type} if self.mime_type else {})


Content = Text | Image | Audio | Embedded | Link


class Reply:
    """An answer made of several blocks, with an optional structured value beside them."""

    def __init__(self, *content: Content, value: object = None) -> None:
        self.content = content
        self.value = value


def contents(uri: str, body: str | bytes, mime_type: str) -> dict[str, Json]:
    """A resource's contents in wire form: text as it is, bytes in base64."""
    if isinstance(body, bytes):
        return {"uri": uri, "mimeType": mime_type, "blob": base64.b64encode(body).decode()}
    return {"uri": uri, "mimeType": mime_type, "text": body}


def rendered(answer: object, returns: TypeAdapter[Any] | None = None) -> tuple[Json, tuple[Block, ...]]:
    """An action's answer as (JSON value, content blocks); it must be of the type that the action `returns`."""
    if isinstance(answer, Reply):
        return jsonable(answer.value), tuple(item.block() for item in answer.content)
    if isinstance(answer, Content):
        return None, (answer.block(),)
    if _is_content(answer):
        return None, tuple(item.block() for item in answer)
    value = jsonable(answer) if returns is None else _declared(answer, returns)
    return value, (Text(readable(answer, value)).block(),) if answer is not None else ()


def _is_content(answer: object) -> TypeGuard[Sequence[Content]]:
    if isinstance(answer, str) or not isinstance(answer, Sequence):
        return False
    return bool(answer) and all(isinstance(item, Content) for item in answer)


def readable(answer: object, value: Json) -> str:
    """The text of an answer: its own `__str__` where it has one, else indented JSON."""
    if isinstance(answer, str):
        return str(answer)
    if isinstance(answer, BaseModel) and type(answer).__str__ is not BaseModel.__str__:
        return _own_text(answer, value)
    if dataclasses.is_dataclass(answer) and type(answer).__str__ is not object.__str__:
        return str(answer)
    return indented(value)


def indented(value: Json) -> str:
    """JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _own_text(answer: BaseModel, value: Json) -> str:
    defined_by = next(cls for cls in type(answer).__mro__ if "__str__" in vars(cls))
    library = defined_by.__module__.partition(".")[0] in ("pydantic", "sqlmodel")
    return indented(value) if library else str(answer)


def _declared(answer: object, returns: TypeAdapter[Any]) -> Json:
    try:
        return returns.dump_python(answer, mode="json", by_alias=True, warnings="error")
    except PydanticSerializationError as error:
        raise TypeError(f"the action did not return what it declares: {error}") from None


_ANY: TypeAdapter[Any] = TypeAdapter(Any)


def jsonable(answer: object) -> Json:
    """Any pydantic-known value as JSON."""
    if answer is None or isinstance(answer, str | bool | int):
        return answer
    return _ANY.dump_python(answer, mode="json")
