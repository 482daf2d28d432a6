"""What a player types, as arguments of an action: `name=value` and plain values, JSON or text."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from engine.actions import Action
from engine.definition import Definition
from engine.errors import InvalidArguments
from engine.types import Json

COMMAND = "command"
"""The action that takes whole lines, where a world has one of that name with a single text parameter."""

_KEYWORD = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Token:
    """A part of a line: as typed, and without its quotes."""

    raw: str
    text: str
    start: int

    @property
    def quoted(self) -> bool:
        """Whether it was typed in quotes, and so is text whatever it looks like."""
        return self.raw[:1] in "\"'" and self.raw != self.text


def takes_lines(definition: Definition) -> bool:
    """Whether a world is played by typing whole lines to it."""
    action = definition.actions.get(COMMAND)
    return action is not None and len(action.parameters.model_fields) == 1 and _texts(action.parameters)[0]


def arguments(action: Action | type[BaseModel], line: str) -> dict[str, Json]:
    """The arguments that a line gives, for the parameters of an action. Raises InvalidArguments."""
    parameters = action if isinstance(action, type) else action.parameters
    properties = schema_properties(parameters)
    tokens = tokenized(line)
    given: dict[str, Json] = {}
    plain: list[Token] = []
    for token in tokens:
        keyword = None if token.quoted else _KEYWORD.fullmatch(token.raw)
        if keyword is None:
            plain.append(token)
        else:
            name, raw = keyword.groups()
            given[name] = _value(properties.get(name, {}), Token(raw, _unquoted(raw), token.start))
    free = [name for name in properties if name not in given]
    return given | _positional(line, plain, free, properties)


def joined(words: list[str]) -> str:
    """Words of a shell as one line in which each is still one token."""
    return " ".join(
        word if [token.raw for token in tokenized(word)] == [word] else _quoted_word(word) for word in words
    )


def tokenized(line: str) -> list[Token]:
    """A line cut at spaces, but not within quotes and brackets."""
    tokens, place = [], 0
    while place < len(line):
        if line[place].isspace():
            place += 1
            continue
        end = _end_of_token(line, place)
        raw = line[place:end]
        tokens.append(Token(raw, _unquoted(raw), place))
        place = end
    return tokens


def schema_properties(parameters: type[BaseModel]) -> dict[str, Json]:
    """The JSON Schemas of a model's fields, without references."""
    schema = parameters.model_json_schema()
    definitions = schema.get("$defs", {})
    return {name: _resolved(field, definitions) for name, field in schema.get("properties", {}).items()}


def types_of(field: Mapping[str, Json]) -> set[str]:
    """The JSON types that a field's schema allows; empty for any."""
    if "anyOf" in field:
        parts = [types_of(part) for part in field["anyOf"]]
        return set().union(*parts) if all(parts) else set()
    if "enum" in field or "const" in field:
        return {_json_type(value) for value in choices(field)}
    kind = field.get("type")
    return set(kind) if isinstance(kind, list) else {kind} if kind else set()


def choices(field: Mapping[str, Json]) -> list[Json]:
    """The values that a field's schema allows, if it names them."""
    if "enum" in field:
        return list(field["enum"])
    if "const" in field:
        return [field["const"]]
    if "anyOf" in field:
        return [value for part in field["anyOf"] for value in choices(part)]
    return [True, False] if field.get("type") == "boolean" else []


def as_typed(value: Json) -> str:
    """A value as a player would type it."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return json.dumps(text, ensure_ascii=False) if isinstance(value, str) and (" " in text or not text) else text


def _positional(line: str, plain: list[Token], free: list[str], properties: Mapping[str, Json]) -> dict[str, Json]:
    if len(plain) > len(free):
        if not free or not _is_text(properties[free[-1]]):
            raise InvalidArguments(
                f"That is {len(plain)} value{'s' * (len(plain) != 1)}, but {len(free)} can be given"
                + (f": {', '.join(free)}." if free else "."),
                hint=f"The arguments are: {', '.join(properties) or 'none'}.",
            )
        rest = line[plain[len(free) - 1].start :].rstrip()
        plain = [*plain[: len(free) - 1], Token(rest, rest, 0)]
    return {name: _value(properties[name], token) for name, token in zip(free, plain, strict=False)}


def _value(field: Mapping[str, Json], token: Token) -> Json:
    types = types_of(field)
    if token.quoted or types == {"string"}:
        return token.text
    if types == {"string", "null"}:
        return None if token.raw == "null" else token.text
    try:
        return json.loads(token.raw)
    except ValueError:
        return token.text


def _is_text(field: Mapping[str, Any]) -> bool:
    return types_of(field) in ({"string"}, {"string", "null"}) and not choices(field)


def _texts(parameters: type[BaseModel]) -> list[bool]:
    return [_is_text(field) for field in schema_properties(parameters).values()]


def _end_of_token(line: str, place: int) -> int:
    keyword = re.compile(r"[A-Za-z_]\w*=").match(line, place)
    start = keyword.end() if keyword else place
    if start < len(line) and line[start] in "\"'":
        end = _end_of_quote(line, start)
    elif start < len(line) and line[start] in "{[":
        end = _end_of_brackets(line, start)
    else:
        end = None
    if end is not None and (end == len(line) or line[end].isspace()):
        return end
    space = re.compile(r"\s").search(line, place)
    return len(line) if space is None else space.start()


def _end_of_quote(line: str, start: int) -> int | None:
    place = start + 1
    while place < len(line):
        if line[place] == line[start]:
            return place + 1
        place += 2 if line[place] == "\\" and line[start] == '"' else 1
    return None


def _end_of_brackets(line: str, start: int) -> int | None:
    """Where the JSON value that begins here ends; None where it is none."""
    try:
        return json.JSONDecoder().raw_decode(line, start)[1]
    except ValueError:
        return None


def _quoted_word(word: str) -> str:
    keyword = _KEYWORD.fullmatch(word)
    name, value = (f"{keyword[1]}=", keyword[2]) if keyword else ("", word)
    return name + json.dumps(value, ensure_ascii=False)


def _unquoted(raw: str) -> str:
    if len(raw) < 2 or raw[0] not in "\"'" or raw[-1] != raw[0]:
        return raw
    if raw[0] == "'":
        return raw[1:-1]
    try:
        return str(json.loads(raw, strict=False))
    except ValueError:
        return re.sub(r"\\(.)", r"\1", raw[1:-1])


def _resolved(field: Mapping[str, Json], definitions: Mapping[str, Json]) -> Json:
    if "$ref" in field:
        target = definitions[field["$ref"].rpartition("/")[2]]
        return {**target, **{key: value for key, value in field.items() if key != "$ref"}}
    if "anyOf" in field:
        return {**field, "anyOf": [_resolved(part, definitions) for part in field["anyOf"]]}
    return dict(field)


def _json_type(value: Json) -> str:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
    return names.get(type(value), "object")
