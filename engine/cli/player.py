"""A person's session in a terminal: what each typed line does."""

import asyncio
import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from rich.console import Console
from rich.text import Text

from engine.arguments import parsed
from engine.asking import Form
from engine.cli import output, reading
from engine.cli.lines import COMMAND, arguments, schema_properties, takes_lines
from engine.cli.terminal import Lines, TerminalAsking
from engine.content import Block, rendered
from engine.definition import Definition
from engine.dispatch import Call, Dispatcher
from engine.drawing.mermaid import mermaid
from engine.errors import InvalidArguments, NotFound, Refused
from engine.preparing import prepared_call
from engine.store.records import Entry, Transaction
from engine.types import AT_TERMINAL, Json, Outcome

SHOWN_HISTORY = 20
"""How many entries `/history` shows without a number."""


@dataclass(frozen=True, slots=True)
class Slash:
    """A command of the terminal itself: its arguments, its meaning, and what it does with the rest of the line."""

    usage: str
    meaning: str
    run: Callable[["Player", str], None]


class Player:
    """One person playing one session at a time; `last` is where it is."""

    def __init__(self, dispatcher: Dispatcher, definition: Definition, lines: Lines, console: Console) -> None:
        self.dispatcher = dispatcher
        self.definition = definition
        self.console = console
        self.lines = lines
        self.asking = TerminalAsking(lines, console)
        self.takes_lines = takes_lines(definition)
        self.suggestions: list[str] = []
        self.last = Outcome("", definition.name, 0, "", (), None)

    # beginning

    def begin(self, session: str | None, *, new: bool, line: str) -> None:
        """Go on with a session, the main one unless named, or start one with the arguments in a line."""
        self.console.print(Text(self.definition.title, "bold green"))
        self.console.print(Text(output.safe(self.definition.description.partition("\n\n")[0]), "dim"))
        main = self.dispatcher.store.read(self._main)
        if session is None and not new and main is None:
            self.start(line, main=True)
        elif new:
            self.start(line, main=main is None)
        elif line:
            raise InvalidArguments(
                f"{line!r} is for starting a session, but there is one already.", hint="Add --new to start another."
            )
        else:
            self.switch(session or main or "")

    def start(self, line: str, *, main: bool = False) -> None:
        """Start a session, asking for the arguments it cannot do without, and go there."""
        given = arguments(self.definition.start_parameters, line)
        if not given and not self.definition.starts_alone:
            given = asyncio.run(self._asked_to_start())
        self._arrived(self.dispatcher.start(AT_TERMINAL, self.definition.name, given, main=main))

    def switch(self, beginning: str) -> None:
        """Go on with another of one's sessions."""
        record = reading.own_session(self.dispatcher, AT_TERMINAL, self.definition.name, beginning)
        self._recall(self.dispatcher.now(AT_TERMINAL, record.handle))

    # playing

    def take(self, line: str) -> None:
        """Do what a line says. Raises EngineError."""
        head, _, rest = line.partition(" ")
        if head.startswith("/"):
            name = head[1:]
            if name in SLASH:
                SLASH[name].run(self, rest.strip())
            elif name in self.definition.actions:
                self.act(name, arguments(self.definition.actions[name], rest))
            else:
                raise self._unknown(head, [*(f"/{known}" for known in (*SLASH, *self.definition.actions))], "/help")
        elif self.takes_lines:
            (parameter,) = self.definition.actions[COMMAND].parameters.model_fields
            self.act(COMMAND, {parameter: line})
        elif head in self.definition.actions:
            self.act(head, arguments(self.definition.actions[head], rest))
        else:
            raise self._unknown(head, [*self.definition.actions, *(f"/{known}" for known in SLASH)], "/actions")

    def act(self, action: str, given: Mapping[str, Json]) -> None:
        """Carry out an action, with what it asks for beforehand, and print what came of it."""
        call = Call(
            principal=AT_TERMINAL, world=self.definition.name, action=action, arguments=given, session=self.last.session
        )
        declared = self.definition.actions.get(action)
        if declared is not None and declared.asks:
            call = asyncio.run(prepared_call(self.dispatcher, call, self.asking))
        read_only = declared is not None and declared.read_only
        self._arrived(self.dispatcher.read(call) if read_only else self.dispatcher.dispatch(call))

    def slash_commands(self) -> dict[str, str]:
        """The terminal's own commands and their meanings."""
        return {name: slash.meaning for name, slash in SLASH.items()}

    def slash_words(self, name: str) -> dict[str, str]:
        """What may follow a slash command."""
        if name == "resource":
            return {resource.name: resource.description for resource in self.definition.resources.values()}
        if name == "switch":
            return {session["session"]: session["state"] for session in self._sessions()}
        return {}

    # the slash commands

    def undo(self, _: str) -> None:
        """Take the last action back."""
        self._reverse("undo")

    def redo(self, _: str) -> None:
        """Do again what was undone."""
        self._reverse("redo")

    def fork(self, rest: str) -> None:
        """Go on in a fork."""
        at = _number(rest) if rest else None
        self._recall(self.dispatcher.fork(AT_TERMINAL, self.last.session, at))

    def new(self, rest: str) -> None:
        """Start another session and go there."""
        self.start(rest)

    def history(self, rest: str) -> None:
        """Show the last entries."""
        wanted = _number(rest) if rest else SHOWN_HISTORY
        record = reading.own_session(self.dispatcher, AT_TERMINAL, self.definition.name, self.last.session)
        since = max(0, record.revision - wanted)
        output.print_history(self.console, reading.history_json(self.dispatcher, record, since)[0])

    def sessions(self, _: str) -> None:
        """List one's sessions of this world."""
        output.print_sessions(self.console, self._sessions(), self.last.session)

    def state(self, _: str) -> None:
        """Show the session as it is."""
        record = reading.own_session(self.dispatcher, AT_TERMINAL, self.definition.name, self.last.session)
        output.print_past(self.console, reading.past_json(self.dispatcher, record, None, AT_TERMINAL))

    def resource(self, rest: str) -> None:
        """Read a resource."""
        name, _, line = rest.partition(" ")
        if name == "diagram":
            past, _ = self.dispatcher.past(AT_TERMINAL, self.last.session)
            self.console.print(Text(mermaid(self.definition.chart, past.active)))
            return
        resource = self.definition.resources.get(name)
        if resource is None:
            known = ", ".join([*self.definition.resources, "diagram"])
            raise NotFound(
                f"There is no resource {name!r}." if name else "Which resource?", hint=f"There are: {known}."
            )
        given = parsed(resource.parameters, arguments(resource.parameters, line))
        output.print_content(
            self.console,
            self.dispatcher.look(
                AT_TERMINAL,
                self.definition.name,
                self.last.session,
                lambda world: rendered(resource.method(world, **given))[1],
            ),
        )

    def actions(self, _: str) -> None:
        """List the world's actions."""
        made = output.table("action", "arguments", "what it does", "")
        possible = self.dispatcher.now(AT_TERMINAL, self.last.session).allowed_actions
        for name, action in self.definition.actions.items():
            now = name in possible
            made.add_row(
                Text(name, "bold" if now else "dim"),
                Text(_signature(schema_properties(action.parameters))),
                Text(output.first_line(action.description)),
                Text("" if now else "not now", "dim"),
            )
        self.console.print(made)

    def help(self, _: str) -> None:
        """Say what can be typed."""
        if self.takes_lines:
            self.console.print("Type what you want to do. Lines that begin with / are for the terminal:")
        else:
            self.console.print("Type an action and its values, such as [bold]name value[/] or [bold]name key=value[/].")
        made = output.table("command", "what it does")
        for name, slash in SLASH.items():
            made.add_row(Text(f"/{name} {slash.usage}", "bold"), slash.meaning)
        made.add_row(Text("/ACTION …", "bold"), "an action of the world by its name; /actions lists them")
        self.console.print(made)
        self.console.print(Text("Tab completes, Ctrl-C clears the line, Ctrl-D quits.", "dim"))

    def quit(self, _: str) -> None:
        """Leave."""
        raise EOFError

    # what came of it

    def _reverse(self, operation: str) -> None:
        call = Call(
            principal=AT_TERMINAL, world=self.definition.name, action=operation, arguments={}, session=self.last.session
        )
        self._recall(self.dispatcher.dispatch(call))

    def _arrived(self, outcome: Outcome) -> None:
        before, self.last = self.last, outcome
        self.suggestions = suggestions_in(outcome.value)
        output.print_outcome(self.console, outcome, before)

    def _recall(self, outcome: Outcome) -> None:
        """Go to a session as it is, and show what the last action that stands there had answered."""
        entry = self.dispatcher.store.read(lambda tx: _last_standing(tx, outcome.session))
        result = json.loads(entry.result)
        recalled: tuple[Block, ...] = tuple(result["content"])
        output.print_content(self.console, outcome.content)
        if recalled:
            given = "" if entry.arguments == "{}" else f" {entry.arguments}"
            self.console.print(Text(output.safe(f"revision {entry.revision}: {entry.action}{given}"), "dim"))
        before, self.last = self.last, replace(outcome, content=recalled)
        self.suggestions = suggestions_in(result["value"])
        output.print_outcome(self.console, self.last, before)

    def _main(self, transaction: Transaction) -> str | None:
        person = transaction.person_id(AT_TERMINAL)
        found = None if person is None else transaction.main_session(person, self.definition.name)
        return None if found is None else found.handle

    def _sessions(self) -> list[Json]:
        return reading.own_sessions(self.dispatcher, AT_TERMINAL, self.definition.name)

    async def _asked_to_start(self) -> dict[str, Json]:
        form = Form(f"Starting {self.definition.title} needs to know:", self.definition.start_parameters)
        answer = (await self.asking.ask(start=form))["start"]
        if not answer.accepted:
            raise Refused("not_started", "Nothing was started.")
        given: dict[str, Json] = answer.value.model_dump(mode="json")
        return given

    def _unknown(self, head: str, known: list[str], lister: str) -> NotFound:
        close = [name for name in known if name.startswith(head) or name == f"/{head}"]
        close = close or difflib.get_close_matches(head, known, 3)
        hint = f"Did you mean {' or '.join(close)}?" if close else f"{lister} lists what there is."
        return NotFound(f"There is no {'command' if head.startswith('/') else 'action'} {head!r}.", hint=hint)


def suggestions_in(value: Json) -> list[str]:
    """What an action's answer suggests to type next."""
    found = value.get("suggestions") if isinstance(value, dict) else None
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []


def _last_standing(transaction: Transaction, handle: str) -> Entry:
    record = transaction.session(handle)
    entry = None if record is None else transaction.entry(record.id, record.undo_top or 1)
    if entry is None:
        raise NotFound(f"There is no session {handle!r}.")
    return entry


def _number(text: str) -> int:
    if not text.isdecimal():
        raise InvalidArguments(f"{text!r} is no number.")
    return int(text)


def _signature(properties: Mapping[str, Json]) -> str:
    return " ".join(f"[{name}]" if "default" in field else name for name, field in properties.items())


SLASH: Mapping[str, Slash] = {
    "undo": Slash("", "take the last action back; again goes further back", Player.undo),
    "redo": Slash("", "do again what was undone", Player.redo),
    "history": Slash("[N]", f"the last {SHOWN_HISTORY}, or N, changes", Player.history),
    "fork": Slash("[N]", "go on in a copy, from revision N or from here", Player.fork),
    "new": Slash("[NAME=VALUE …]", "start another session", Player.new),
    "sessions": Slash("", "your sessions of this world", Player.sessions),
    "switch": Slash("H", "go on with another session", Player.switch),
    "state": Slash("", "the session: state, data, rows", Player.state),
    "resource": Slash("NAME", "read a resource; diagram is always one", Player.resource),
    "actions": Slash("", "what the world can do", Player.actions),
    "help": Slash("", "this", Player.help),
    "quit": Slash("", "leave; the session stays", Player.quit),
}
"""The terminal's own commands."""
