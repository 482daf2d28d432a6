"""How things look in a terminal, and as JSON: every command prints through here."""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.types import Json, Outcome

PIPED_WIDTH = 200
"""Columns where there is no terminal: wide, so that lines stay whole for other programs."""
ABSENT = object()
"""No value at all, as opposed to null."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def stdout() -> Console:
    """The console of answers: coloured and as wide as the terminal, or plain and wide where there is none."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)


def stderr() -> Console:
    """The console of errors."""
    return Console(stderr=True, highlight=False)


def safe(text: str) -> str:
    """Text without control characters: what others wrote must not steer this terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def print_json(value: Json) -> None:
    """A machine-readable answer."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def compact(value: object) -> str:
    """A JSON value on one line; nothing for what is absent."""
    return "" if value is ABSENT else safe(json.dumps(value, ensure_ascii=False))


def indented(value: Json) -> Text:
    """A JSON value over several lines."""
    return Text(safe(json.dumps(value, indent=2, ensure_ascii=False)))


def first_line(text: str) -> str:
    """The first line of a description."""
    return text.strip().partition("\n")[0]


def shown_time(at: str | None) -> str:
    """A moment of the database for people: UTC, to the second."""
    return "" if at is None else at[:19].replace("T", " ") + "Z"


def timer_line(timer: Json) -> str:
    """A timer on one line: what, with what, when, and how long it may."""
    given = "" if timer["arguments"] == {} else f" {compact(timer['arguments'])}"
    within = f" while {timer['state']}" if timer["state"] else ""
    failed = f" · failed: {timer['failed']}" if "failed" in timer else ""
    return safe(f"{timer['action']}{given} at {shown_time(timer['due_at'])}{within}{failed}")


def table(*columns: str, whole: Iterable[str] = ()) -> Table:
    """An empty table; the columns named in `whole` are never wrapped."""
    made = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    for column in columns:
        made.add_column(column, no_wrap=column in whole, overflow="fold")
    return made


def outcome_json(outcome: Outcome) -> Json:
    """What came of a change, for programs."""
    return {
        "session": outcome.session,
        "world": outcome.world,
        "revision": outcome.revision,
        "state": outcome.state,
        "allowed_actions": list(outcome.allowed_actions),
        "result": outcome.value,
        "messages": [message.as_json() for message in outcome.messages],
    }


def print_outcome(console: Console, outcome: Outcome, before: Outcome | None = None) -> None:
    """What came of a change, for people, and a dim line that says where the session is.

    What is possible is left out where that is what it was `before`.
    """
    print_content(console, outcome.content)
    for message in outcome.messages:
        console.print(Text(safe(message.content), "red" if message.type == "error" else "cyan"))
    known = before is not None and before.allowed_actions == outcome.allowed_actions
    possible = "" if known else ", ".join(outcome.allowed_actions)
    parts = (outcome.session, f"revision {outcome.revision}", outcome.state, possible)
    console.print(Text(" · ".join(part for part in parts if part), "dim"), soft_wrap=not console.is_terminal)


def print_content(console: Console, blocks: Iterable[Mapping[str, Json]]) -> None:
    """Content blocks; what a terminal cannot show is named."""
    for block in blocks:
        console.print(Text(safe(_block_text(block))), soft_wrap=not console.is_terminal)


def print_worlds(console: Console, worlds: Sequence[Json]) -> None:
    """A table of worlds."""
    made = table("world", "what it is", "states", "actions", whole=("world",))
    for world in worlds:
        actions = ", ".join(action["name"] for action in world["actions"])
        made.add_row(
            Text(world["name"], "bold"), first_line(world["description"]), ", ".join(world["states"]), Text(actions)
        )
    console.print(made)


def print_sessions(console: Console, sessions: Sequence[Json], current: str | None = None) -> None:
    """A table of sessions; the current one is marked."""
    made = table("session", "world", "revision", "state", "owner", "changed", "", whole=("session", "changed"))
    for session in sessions:
        told = (("main", session["main"]), ("ended", session["ended_at"]), ("expired", session["expired_at"]))
        notes = [word for word, true in told if true]
        if session["forked_from"]:
            notes.append(f"fork of {session['forked_from'][:10]}… at {session['forked_at']}")
        made.add_row(
            Text(session["session"], "bold green" if session["session"] == current else "bold"),
            session["world"],
            str(session["revision"]),
            session["state"],
            Text(safe(session["owner"])),
            shown_time(session["updated_at"]),
            ", ".join(notes),
        )
    console.print(made if sessions else Text("No sessions.", "dim"))


def print_past(console: Console, past: Json) -> None:
    """A session at a revision: state, document, rows, and what is possible."""
    console.print(
        Text.assemble(
            (past["session"], "bold"), f"  {past['world']} · revision {past['revision']} · ", (past["state"], "bold")
        ),
        soft_wrap=True,
    )
    facts = [f"owner {safe(past['owner'])}", *(["main session"] if past["main"] else [])]
    times = ("created", "updated", "ended", "expired")
    facts += [f"{word} {shown_time(past[f'{word}_at'])}" for word in times if past[f"{word}_at"]]
    facts += [f"forked from {past['forked_from']} at {past['forked_at']}"] if past["forked_from"] else []
    console.print(Text(" · ".join(facts), "dim"), soft_wrap=True)
    if past["allowed_actions"] is not None:
        console.print(Text.assemble(("possible ", "cyan"), ", ".join(past["allowed_actions"]) or "nothing"))
        for name, no in past["refused_actions"].items():
            said = " ".join(part for part in (no["reason"], no["hint"]) if part)
            console.print(Text.assemble(("not now  ", "cyan"), f"{name}: ", (safe(said), "dim")), soft_wrap=True)
    for timer in past["timers"]:
        console.print(Text.assemble(("timer    ", "cyan"), timer_line(timer)), soft_wrap=True)
    for one in past["effects"] or ():
        said = f"{one['effect']} ({one['id']}) {one['state']}" + (f": {safe(one['error'])}" if one["error"] else "")
        console.print(Text.assemble(("effect   ", "cyan"), said), soft_wrap=True)
    if past["data"] is not None:
        console.print(Text("data", "cyan"), indented(past["data"]), sep="\n", soft_wrap=True)
    for name, rows in past["rows"].items():
        console.print(Text(f"{name}: {len(rows)} row{'s' * (len(rows) != 1)}", "cyan"))
        if rows:
            console.print(_row_table(rows))


def print_history(console: Console, entries: Sequence[Json]) -> None:
    """A table of journal entries; what was undone is struck out."""
    made = table("revision", "when", "who", "through", "action", "arguments", "state", "", whole=("when", "who"))
    for entry in entries:
        note = "undone" if entry["undone"] else f"revision {entry['target']}" if entry["target"] else ""
        made.add_row(
            str(entry["revision"]),
            shown_time(entry["at"]),
            Text(safe(entry["who"])),
            Text(safe(entry["client"] or ""), "dim"),
            Text(entry["action"], "strike dim" if entry["undone"] else "bold"),
            Text("" if entry["arguments"] == {} else compact(entry["arguments"])),
            entry["state"],
            Text(note, "yellow"),
        )
    console.print(made if entries else Text("No entries.", "dim"))


def print_difference(console: Console, difference: Json) -> None:
    """What differs, with - and + as in a patch."""
    console.print(
        Text(f"{difference['session']}  revision {difference['from']} → {difference['to']}", "bold"), soft_wrap=True
    )
    state = difference["state"]
    if state is not None:
        _print_pair(console, "state", state["before"], state["after"])
    for field in difference["data"]:
        _print_pair(console, f"data {safe(field['path'])}", field.get("before", ABSENT), field.get("after", ABSENT))
    for row in difference["rows"]:
        label = f"{row['table']} {compact(row['key'])}"
        if row["before"] is None or row["after"] is None:
            _print_pair(console, label, row["before"] or ABSENT, row["after"] or ABSENT)
            continue
        changed = [name for name in row["after"] if row["before"].get(name, ABSENT) != row["after"][name]]
        pick = {name: row["before"].get(name) for name in changed}, {name: row["after"][name] for name in changed}
        _print_pair(console, label, *pick)
    if state is None and not difference["data"] and not difference["rows"]:
        console.print(Text("No difference.", "dim"))


def _print_pair(console: Console, label: str, before: object, after: object) -> None:
    console.print(Text(label, "cyan"), soft_wrap=True)
    for sign, value, style in (("-", before, "red"), ("+", after, "green")):
        if value is not ABSENT:
            console.print(Text(f"{sign} {compact(value)}", style), soft_wrap=True)


def _row_table(rows: Sequence[Json]) -> Table:
    made = table(*rows[0])
    for row in rows:
        made.add_row(*(Text(safe(value) if isinstance(value, str) else compact(value)) for value in row.values()))
    return made


def _block_text(block: Mapping[str, Json]) -> str:
    match block["type"]:
        case "text":
            return str(block["text"])
        case "resource" if "text" in block["resource"]:
            return str(block["resource"]["text"])
        case "resource":
            return f"[{block['resource'].get('mimeType', 'resource')}: {block['resource']['uri']}]"
        case "resource_link":
            return f"[{block['name']}: {block['uri']}]"
        case kind:
            return f"[{kind}, {block.get('mimeType')}, {len(block.get('data', '')) * 3 // 4:,} bytes]"


def print_timers(console: Console, timers: Sequence[Json]) -> None:
    """A table of timers, by session; what failed is marked."""
    made = table("session", "world", "action", "arguments", "while", "due", "failed", whole=("session", "due"))
    for timer in timers:
        made.add_row(
            timer["session"],
            timer["world"],
            Text(safe(timer["action"]), "bold"),
            Text("" if timer["arguments"] == {} else compact(timer["arguments"])),
            Text(safe(timer["state"])),
            shown_time(timer["due_at"]),
            Text(safe(timer.get("failed", "")), "red"),
        )
    console.print(made if timers else Text("No timers.", "dim"))
