"""What a database holds after the kills, beside what its clients were told."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from engine.dispatch import Dispatcher
from engine.store.records import Entry, Record
from engine.types import LOCAL
from tests.crash.child import LEDGER
from tests.crash.clients import Client
from tests.crash.ledger import Line

BEGINNINGS = ("start", "fork")
"""What makes a session, so that its key is no journal entry's."""


def findings(dispatcher: Dispatcher, clients: Iterable[Client]) -> list[str]:
    """Everything that is not as it was promised; every client has settled."""
    clients = list(clients)
    with dispatcher.store.snapshot() as transaction:
        sessions = transaction.all_sessions(LEDGER)
        journals = {record.handle: list(transaction.entries(record.id)) for record in sessions}
    found = [failure for client in clients for failure in client.failures]
    for record in sessions:
        found += [f"{record.handle}: {what}" for what in _session(dispatcher, record, journals[record.handle])]
    return [*found, *_answers(clients, journals), *_beginnings(clients, sessions, journals)]


def _session(dispatcher: Dispatcher, record: Record, entries: list[Entry]) -> Iterator[str]:
    """Revisions without gap, each done once on what was there before, and the present is what they add up to."""
    if [entry.revision for entry in entries] != list(range(1, record.revision + 1)):
        yield f"revision {record.revision}, but a journal of {[entry.revision for entry in entries]}"
        return
    rows: dict[int, int] = {}
    data = {"total": 0, "notes": 0}
    pasts: dict[int, tuple[dict[str, int], dict[int, int]]] = {}
    for entry in entries:
        after = data if entry.data is None else json.loads(entry.data)
        yield from _note(entry, data, after)
        data, rows = after, dict(rows)
        for _, before, image in json.loads(entry.rows or "[]"):
            if before is not None and rows.pop(before["number"], None) != before["amount"]:
                yield f"revision {entry.revision} changed the line {before}, which was not there"
            if image is not None:
                rows[image["number"]] = image["amount"]
        if entry.target is not None:
            there = pasts[entry.target - 1 if entry.action == "undo" else entry.target]
            rows = rows if entry.adopted is None else there[1]
            if (data, rows) != there:
                yield f"revision {entry.revision}, {entry.action} of {entry.target}, led to {data, rows}, not {there}"
        pasts[entry.revision] = (data, rows)
    now = dispatcher.look(
        LOCAL, LEDGER, record.handle, lambda ledger: (ledger.data.model_dump(), _lines(ledger.rows(Line)))
    )
    if now != (data, rows):
        yield f"is {now}, but its journal adds up to {data, rows}"


def _lines(lines: Iterable[Line]) -> dict[int, int]:
    return {line.number: line.amount for line in lines}


def _note(entry: Entry, before: dict[str, int], after: dict[str, int]) -> Iterator[str]:
    if entry.action != "note":
        return
    amount, value = json.loads(entry.arguments)["amount"], json.loads(entry.result)["value"]
    wanted = {"total": before["total"] + amount, "notes": before["notes"] + 1}
    if after != wanted or (value["total"], value["number"]) != (wanted["total"], wanted["notes"]):
        yield f"revision {entry.revision} noted {amount} upon {before}, which gave {after} and the answer {value}"


def _answers(clients: list[Client], journals: dict[str, list[Entry]]) -> Iterator[str]:
    """Every answered request is there once, where it was said to be; no refused one is; and nothing else is."""
    keyed = [(handle, entry) for handle, entries in journals.items() for entry in entries if entry.key is not None]
    times = Counter(entry.key for _, entry in keyed)
    yield from (f"{key} was done {count} times" for key, count in times.items() if count != 1)
    there = {entry.key: (handle, entry) for handle, entry in keyed}
    for client in clients:
        yield from (f"{key} was refused ({why}), and yet done" for key, why in client.refused.items() if key in there)
        for key, (request, answer) in client.answered.items():
            if request.action in BEGINNINGS:
                continue
            handle, entry = there.pop(key, (None, None))
            if entry is None:
                yield f"{request} was answered {answer}, and is lost"
            elif not (handle == request.session == answer.session and _same(entry, request.arguments, answer)):
                yield f"{request} was answered {answer}, and is {entry}"
    refused = {key for client in clients for key in client.refused}
    yield from (f"{key} was done and never wanted" for key in there if key not in refused)


def _same(entry: Entry, arguments: dict[str, Any], answer: Any) -> bool:
    recorded = json.loads(entry.result)["value"]
    return (entry.revision, json.loads(entry.arguments), recorded) == (answer.at, arguments, answer.value)


def _beginnings(clients: list[Client], sessions: list[Record], journals: dict[str, list[Entry]]) -> Iterator[str]:
    """Every start and fork that was answered made one session, and nothing else made any."""
    known = {session for client in clients for session in client.sessions}
    begun = [answer.session for c in clients for request, answer in c.answered.values() if request.action in BEGINNINGS]
    if sorted(journals) != sorted([*known, *begun]):
        yield f"there are {len(journals)} sessions, not the {len(known)} first ones and the {len(begun)} begun"
    for record in sessions:
        if record.forked_from is not None:
            own, origin = ([_fact(entry) for entry in journals[h]] for h in (record.handle, record.forked_from))
            if own[: record.forked_at] != origin[: record.forked_at]:
                yield f"{record.handle} has another past than {record.forked_from} until revision {record.forked_at}"


def _fact(entry: Entry) -> tuple[object, ...]:
    return entry.revision, entry.action, entry.arguments, entry.result, entry.data, entry.target
