"""What the inspection commands read, as JSON values: sessions, their past, and what differs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Table

from engine import history
from engine.definition import Definition
from engine.dispatch import Dispatcher
from engine.drawing.mermaid import mermaid
from engine.drawing.svg import svg
from engine.errors import NotFound, Refused
from engine.models import table_of
from engine.paging import page
from engine.pasts import Past, past
from engine.present import shown_state
from engine.registry import Registry
from engine.store import effects
from engine.store.effects import Taken
from engine.store.records import Entry, Record, Transaction
from engine.types import OPERATOR, Json, Principal

OPEN = ("waiting", "parked")
"""The effects that are still to come, or that a person has to look at."""
CANDIDATES = 5
"""How many handles an ambiguous beginning is answered with."""


def world_named(registry: Registry, name: str) -> Definition:
    """The world of that name. Raises NotFound."""
    definition = registry.definition(name)
    if definition is None:
        raise NotFound(f"There is no world {name!r}.", hint=f"There are: {', '.join(registry.worlds)}.")
    return definition


def session_named(dispatcher: Dispatcher, beginning: str) -> Record:
    """The one session whose handle is, or begins with, what was given. Raises NotFound, Refused."""
    return _chosen(dispatcher.store.read(lambda tx: tx.all_sessions(None)), beginning)


def own_session(dispatcher: Dispatcher, principal: Principal, world: str, beginning: str) -> Record:
    """The same among the sessions of a principal in a world. Raises NotFound, Refused."""
    return _chosen(dispatcher.store.read(lambda tx: _own(tx, principal, world)), beginning)


def own_sessions(dispatcher: Dispatcher, principal: Principal, world: str) -> list[Json]:
    """A principal's sessions of a world, the most recently changed first."""
    return dispatcher.store.read(
        lambda tx: [session_json(dispatcher, tx, record) for record in _own(tx, principal, world)]
    )


def world_json(definition: Definition) -> Json:
    """A world."""
    return {
        "name": definition.name,
        "title": definition.title,
        "description": definition.description,
        "version": definition.version,
        "states": list(definition.chart.states),
        "actions": [
            {"name": action.name, "description": action.description, "read_only": action.read_only}
            for action in definition.actions.values()
        ],
        "resources": list(definition.resources),
        "commands": list(definition.commands),
    }


def session_json(dispatcher: Dispatcher, transaction: Transaction, record: Record) -> Json:
    """A session."""
    return {
        "session": record.handle,
        "world": record.world,
        "revision": record.revision,
        "state": shown_state(dispatcher.registry.definition(record.world), record.version, record.state),
        "owner": transaction.person_name(record.owner_id),
        "main": record.main_of is not None,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "ended_at": record.ended_at,
        "expired_at": dispatcher.expired_at(record),
        "forked_from": record.forked_from,
        "forked_at": record.forked_at,
    }


def past_json(dispatcher: Dispatcher, record: Record, at: int | None, principal: Principal = OPERATOR) -> Json:
    """A session at a revision; `allowed_actions` only as it is now. Raises NotFound."""
    definition = world_named(dispatcher.registry, record.world)

    def work(transaction: Transaction) -> Json:
        now = transaction.session_by_id(record.id) or record
        then = past(transaction, definition, now, now.revision if at is None else at)
        return session_json(dispatcher, transaction, now) | {
            "revision": then.revision,
            "latest_revision": now.revision,
            "state": then.state,
            "data": _loaded(then.data),
            "timers": [timer.shown for timer in then.timers],
            "rows": {
                table.name: [_in_order(table, row) for row in then.rows.get(table.name, [])]
                for table in map(table_of, definition.rows)
            },
        }

    found = dispatcher.store.read(work)
    if at is not None:
        return {**found, "allowed_actions": None, "refused_actions": None, "effects": None}
    now = dispatcher.now(principal, record.handle)
    open_effects = dispatcher.store.read(lambda tx: effects.listed(tx, record.id, OPEN))
    return {
        **found,
        "allowed_actions": list(now.allowed_actions),
        "refused_actions": now.refusals,
        "effects": [effect_json(taken) for taken in open_effects],
    }


def effect_json(taken: Taken) -> Json:
    """An effect."""
    row = taken.row
    return {
        "id": row.id,
        "session": taken.handle,
        "world": taken.world,
        "revision": row.revision,
        "effect": row.name,
        "arguments": json.loads(row.arguments),
        "state": row.state,
        "attempts": row.attempts,
        "created_at": row.created_at,
        "due_at": row.due_at if row.state == "waiting" else None,
        "deadline_at": row.deadline_at,
        "claimed": row.worker_id is not None,
        "result": None if row.result is None else json.loads(row.result),
        "error": row.error,
        "compensates": row.compensates,
    }


def diagram(dispatcher: Dispatcher, record: Record, at: int | None, *, as_svg: bool) -> str:
    """A session's states, with those marked that are active at a revision: Mermaid, or SVG. Raises NotFound."""
    definition = world_named(dispatcher.registry, record.world)
    revision = record.revision if at is None else at
    then = dispatcher.store.read(lambda tx: past(tx, definition, tx.session_by_id(record.id) or record, revision))
    if as_svg:
        return svg(definition.chart, then.active, title=f"{definition.title}: {then.state}")
    return mermaid(definition.chart, then.active)


def history_json(dispatcher: Dispatcher, record: Record, since: int = 0) -> tuple[list[Json], bool]:
    """The journal entries after a revision, oldest first, as far as one answer takes them; whether there are more."""
    definition = dispatcher.registry.definition(record.world)

    def work(transaction: Transaction) -> tuple[list[Json], bool]:
        entries = transaction.entries(record.id, after=max(since, record.floor - 1))
        described = (_entry_json(transaction, definition, entry) for entry in entries)
        return page(
            described,
            dispatcher.limits.result,
            lambda item: {"history": [item]},
            lambda item, size: {**item, "arguments": {"omitted": f"{size:,} bytes"}},
        )

    return dispatcher.store.read(work)


def difference_json(dispatcher: Dispatcher, record: Record, first: int, second: int) -> Json:
    """What differs between two revisions of a session. Raises NotFound."""
    definition = world_named(dispatcher.registry, record.world)

    def work(transaction: Transaction) -> list[Past]:
        now = transaction.session_by_id(record.id) or record
        return [past(transaction, definition, now, revision) for revision in (first, second)]

    before, after = dispatcher.store.read(work)
    return {
        "session": record.handle,
        "world": record.world,
        "from": first,
        "to": second,
        "state": None if before.state == after.state else {"before": before.state, "after": after.state},
        "data": list(_fields_changed("$", _loaded(before.data), _loaded(after.data))),
        "rows": list(_rows_changed(definition, before.rows, after.rows)),
    }


def _own(transaction: Transaction, principal: Principal, world: str) -> list[Record]:
    person = transaction.person_id(principal)
    return [] if person is None else [record for record, _ in transaction.sessions_of(person, world)]


def _chosen(records: Sequence[Record], beginning: str) -> Record:
    found = [record for record in records if beginning and record.handle.startswith(beginning)]
    exact = [record for record in found if record.handle == beginning]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if not found:
        raise NotFound(f"There is no session {beginning!r}.", hint="`turnkeeper sessions` lists them.")
    some = ", ".join(record.handle for record in found[:CANDIDATES])
    raise Refused(
        "ambiguous_handle", f"{len(found)} sessions begin with {beginning!r}: {some}.", hint="Give more of it."
    )


def _entry_json(transaction: Transaction, definition: Definition | None, entry: Entry) -> Json:
    return {
        "revision": entry.revision,
        "at": entry.at,
        "who": transaction.person_name(entry.person_id),
        "client": entry.client,
        "action": entry.action,
        "arguments": json.loads(entry.arguments),
        "state": shown_state(definition, entry.version, entry.state),
        "target": entry.target,
        "undone": entry.target is None and not history.stands(transaction, entry),
    }


def _fields_changed(path: str, before: Json, after: Json) -> Iterator[Json]:
    """The leaves that differ; one that is absent on a side has no key for it."""
    if before == after and type(before) is type(after):
        return
    first, second = _parts(before), _parts(after)
    if first is None or second is None or type(before) is not type(after):
        yield {"path": path, "before": before, "after": after}
        return
    for key in {**first, **second}:
        place = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}"
        if key in first and key in second:
            yield from _fields_changed(place, first[key], second[key])
        elif key in first:
            yield {"path": place, "before": first[key]}
        else:
            yield {"path": place, "after": second[key]}


def _parts(value: Json) -> Mapping[Any, Json] | None:
    if isinstance(value, list):
        return dict(enumerate(value))
    return value if isinstance(value, dict) else None


def _rows_changed(
    definition: Definition, before: Mapping[str, list[Json]], after: Mapping[str, list[Json]]
) -> Iterator[Json]:
    for model in definition.rows:
        table = table_of(model)
        keys = [column.name for column in table.primary_key if column.name != "session_id"]
        first, second = (
            {json.dumps([row[key] for key in keys]): row for row in images.get(table.name, [])}
            for images in (before, after)
        )
        for address in {**first, **second}:
            old, new = first.get(address), second.get(address)
            if old != new:
                row = old or new or {}
                yield {
                    "table": table.name,
                    "key": {key: row[key] for key in keys},
                    "before": old and _in_order(table, old),
                    "after": new and _in_order(table, new),
                }


def _in_order(table: Table, row: Json) -> Json:
    """A row's image with its columns as the table has them; those it no longer has are last."""
    known = {column.name: row[column.name] for column in table.columns if column.name in row}
    return known | row


def _loaded(data: str | None) -> Json:
    return None if data is None else json.loads(data)
