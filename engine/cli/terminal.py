"""Asking a person at a terminal: lines of play, and the questions of actions."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import Completer, WordCompleter
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.text import Text

from engine.asking import Answer, Confirmation, Form, Question
from engine.cli.lines import as_typed, choices, schema_properties, types_of
from engine.cli.output import safe
from engine.errors import CannotAsk
from engine.types import Json

YES, NO = ("y", "yes", "true", "1", "on"), ("n", "no", "false", "0", "off")


class Lines(Protocol):
    """Where lines come from."""

    def line(self, prompt: str, completer: Completer) -> str:
        """The next line of play. Raises EOFError, KeyboardInterrupt."""
        ...

    async def answer(self, question: str, words: list[str]) -> str:
        """The answer to a question. Raises EOFError, KeyboardInterrupt."""
        ...


class Keyboard:
    """A person typing, with history, completion and the usual keys."""

    def __init__(self, history: Path | None) -> None:
        kept: History = InMemoryHistory() if history is None else FileHistory(str(history))
        self._session: PromptSession[str] = PromptSession(
            history=kept, auto_suggest=AutoSuggestFromHistory(), complete_while_typing=False
        )

    def line(self, prompt: str, completer: Completer) -> str:
        """The next line of play."""
        shown = FormattedText([("bold ansigreen", prompt)])
        return self._session.prompt(shown, completer=completer)

    async def answer(self, question: str, words: list[str]) -> str:
        """The answer to a question; it is not kept in the history."""
        session: PromptSession[str] = PromptSession(completer=WordCompleter(words), complete_while_typing=False)
        return await session.prompt_async(FormattedText([("bold ansiyellow", question)]))


class Pipe:
    """Lines from standard input, for scripts: nothing is echoed."""

    def line(self, prompt: str, completer: Completer) -> str:
        """The next line."""
        return self._next()

    async def answer(self, question: str, words: list[str]) -> str:
        """The next line as an answer."""
        print(question)
        return await asyncio.to_thread(self._next)

    def _next(self) -> str:
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.rstrip("\r\n")


class TerminalAsking:
    """What an action may ask of the person at the terminal: forms, field by field."""

    def __init__(self, lines: Lines, console: Console) -> None:
        self._lines = lines
        self._console = console

    async def ask(self, **questions: Question) -> Mapping[str, Answer]:
        """Put the questions, one after the other; after one that is not answered, the others are not put."""
        self.require(*(type(question) for question in questions.values()))
        answers: dict[str, Answer] = {}
        for name, question in questions.items():
            gone = any(answer.action == "cancel" for answer in answers.values())
            answers[name] = Answer("cancel") if gone or not isinstance(question, Form) else await self._fill(question)
        return answers

    def can(self, question: type[Question]) -> bool:
        """A terminal has a person, but no language model and no roots."""
        return question is Form

    def require(self, *questions: type[Question]) -> None:
        """Insist that every question can be put."""
        for question in questions:
            if not self.can(question):
                raise CannotAsk(
                    f"A terminal cannot answer a {question.__name__}; use an MCP client that can.",
                    capability={"sampling" if question.__name__ == "Sample" else "roots": {}},
                )

    async def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Print how far the work is."""
        share = f"{done:g}" if total is None else f"{done:g} of {total:g}"
        self._note(" · ".join(part for part in (share, message) if part))

    async def log(self, level: str, message: str) -> None:
        """Print a log line."""
        self._note(f"{level}: {message}")

    async def _fill(self, form: Form) -> Answer:
        self._console.print(Text(safe(form.message), "bold yellow"))
        try:
            return await self._confirm() if form.fields is Confirmation else await self._fields(form)
        except (EOFError, KeyboardInterrupt):
            self._note("not answered")
            return Answer("cancel")

    async def _confirm(self) -> Answer:
        """Yes or no, where nothing but a typed yes is a yes."""
        said = (await self._lines.answer("Go on? [y/N] ", ["yes", "no"])).strip().lower()
        return Answer("accept", Confirmation(confirm=True)) if said in YES else Answer("decline")

    async def _fields(self, form: Form) -> Answer:
        schema = form.schema
        fields = schema.get("properties", {}) if isinstance(form.fields, Mapping) else schema_properties(form.fields)
        required = schema.get("required", [])
        content: dict[str, Json] = {}
        wrong = set(fields)
        while wrong:
            for name in (name for name in fields if name in wrong):
                content.pop(name, None)
                content |= await self._field(name, fields[name], needed=name in required)
            wrong = self._faults(form, content)
        return Answer("accept", form.parsed(content))

    async def _field(self, name: str, field: Mapping[str, Json], *, needed: bool) -> dict[str, Json]:
        """The field's value by its name, or nothing if it was left out."""
        words = ["yes", "no"] if types_of(field) == {"boolean"} else [as_typed(value) for value in choices(field)]
        while True:
            said = (await self._lines.answer(_label(name, field, words, needed=needed), words)).strip()
            if not said and not needed:
                return {}
            try:
                return {name: _converted(field, said)}
            except ValueError as error:
                self._console.print(Text(f"{name}: {error}", "red"))

    def _faults(self, form: Form, content: Mapping[str, Json]) -> set[str]:
        """The fields to ask again, after saying why."""
        if not (isinstance(form.fields, type) and issubclass(form.fields, BaseModel)):
            return set()
        try:
            form.parsed(content)
        except ValidationError as error:
            faults = {str(fault["loc"][0]) if fault["loc"] else "": fault["msg"] for fault in error.errors()}
            for name, reason in faults.items():
                self._console.print(Text(safe(f"{name}: {reason}" if name else reason), "red"))
            named = set(faults) & set(form.fields.model_fields)
            return named or set(form.fields.model_fields)
        return set()

    def _note(self, text: str) -> None:
        self._console.print(Text(safe(text), "dim"))


def _label(name: str, field: Mapping[str, Json], words: list[str], *, needed: bool) -> str:
    title = safe(str(field.get("description") or field.get("title") or name))
    offered = f" ({'/'.join(words)})" if words else ""
    default = field.get("default")
    known = {True: "yes", False: "no"}.get(default, as_typed(default)) if isinstance(default, bool) else default
    left = "" if needed else f" [{known}]" if default is not None else " [leave empty]"
    return f"{title}{offered}{left}: "


def _converted(field: Mapping[str, Json], said: str) -> Any:
    """What was typed, as the JSON that a field takes. Raises ValueError."""
    types = types_of(field) - {"null"}
    if types == {"boolean"}:
        if said.lower() not in (*YES, *NO):
            raise ValueError("yes or no")
        return said.lower() in YES
    allowed = choices(field)
    if allowed:
        found = [value for value in allowed if said in (value, as_typed(value))]
        if not found:
            raise ValueError(f"one of {', '.join(map(as_typed, allowed))}")
        return found[0]
    if types <= {"string"} and types:
        return said
    try:
        return json.loads(said)
    except ValueError:
        if types & {"integer", "number"} and "string" not in types:
            raise ValueError("a number") from None
        return said
