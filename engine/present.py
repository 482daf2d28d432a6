"""What older versions of a world stored, as its present version reads it: every read passes through here.

A session's state and document, its rows and their images in the journal keep
the version that wrote them. Reading one of an older version changes nothing
stored; what is written in a transaction that writes is stored in present form
first, which is no change of the session and has no entry of its own.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from pydantic import ValidationError
from sqlalchemy import (
    JSON,
    ColumnElement,
    Enum,
    StaticPool,
    String,
    create_engine,
    func,
    literal,
    select,
    type_coerce,
)
from sqlmodel import Session as DbSession

from engine.configurations import Unknown, configuration_of, shown, text_of, upgraded
from engine.definition import Definition
from engine.errors import Conflict, Refused
from engine.models import HistoryRow, Row, of_parts, table_of
from engine.store import search
from engine.store.hidden import row_sets_of
from engine.store.records import Entry, Images, Record, Transaction
from engine.store.sqlite import SQLITE
from engine.timers import Timer, next_due, read
from engine.timers import text_of as timers_text
from engine.types import Json, RowChange, elements
from engine.upgrades import DOCUMENT, STATE

Image = Mapping[str, Json]


class Large(Exception):
    """A session has too many rows to be stored in present form in one transaction: it has to be done ahead."""

    def __init__(self, definition: Definition, record: Record) -> None:
        super().__init__(f"{record.handle} to version {definition.version}")
        self.definition = definition
        self.record = record


def bring(transaction: Transaction, definition: Definition, record: Record) -> None:
    """Bring a session to the present version: stored, if the transaction writes, else for its reads.

    Raises Refused; Large where it is too much to be stored here and now.
    """
    version = record.version
    if version > definition.version:
        raise Refused(
            "newer_version",
            f"The session was written by version {version} of {definition.name}; here is {definition.version}.",
            hint="Install the newer version of the world.",
        )
    record.state = state(definition, version, record.state)
    if version == definition.version:
        return
    record.data, record.version = document(definition, version, record.data), definition.version
    found = timers(definition, record.timers)
    record.timers, record.due_at = timers_text(found), next_due(found)
    changed = any(definition.upgrades.after(version, table) for table in definition.tables)
    if transaction.writable:
        if changed and _is_large(transaction, definition, record):
            raise Large(definition, record)
        if not transaction.store_present(record, version):
            raise Conflict("The session was changed by another at the same instant.", revision=record.revision)
        for rows_id in row_sets(transaction, record) if changed else ():
            _store_rows(transaction, definition, version, rows_id)
    elif changed:
        ids = row_sets(transaction, record)
        copy = _copied(transaction, definition, version, ids)
        for rows_id in ids:
            transaction.read_elsewhere(rows_id, copy)


def row_sets(transaction: Transaction, record: Record) -> list[int]:
    """The ids of a session's row sets, those at rest too: all are of its version."""
    return [record.id, *row_sets_of(transaction, record.id)]


def ahead_of(definition: Definition, row: type[Row]) -> bool:
    """Whether rows of a class may be written ahead."""
    return definition.parts is not None and row is not definition.parts and issubclass(row, HistoryRow)


def parts_of(transaction: Transaction, definition: Definition, rows_id: int, revision: int | None = None) -> list[int]:
    """The parts of a row set that were adopted until a revision, or ever, whether or not they stand since."""
    if definition.parts is None:
        return []
    own = table_of(definition.parts).c
    upto = () if revision is None else (own.since <= revision,)
    found = transaction.run(select(own.id).distinct().where(own.session_id == rows_id, *upto).order_by(own.id))
    return list(found.scalars())


def told_rows(
    transaction: Transaction, definition: Definition, row: type[Row], rows_id: int, revision: int | None = None
) -> tuple[ColumnElement[bool], ...]:
    """The condition for which rows of a class are no longer only written ahead: they were adopted by a revision."""
    if not ahead_of(definition, row):
        return ()
    return (of_parts(table_of(row).c, parts_of(transaction, definition, rows_id, revision)),)


def state(definition: Definition, version: int, stored: str) -> str:
    """A state's name in the present version. Raises Refused if the world has it no longer."""
    chart = definition.chart
    if version == definition.version and stored in chart.alone:
        return stored
    try:
        if version < definition.version:
            return upgraded(chart, stored, lambda name: _stepped(definition, version, STATE, name, str))
        return text_of(chart, configuration_of(chart, stored))
    except Unknown as unknown:
        raise _unknown_state(definition, version, stored, unknown) from None


def _unknown_state(definition: Definition, version: int, stored: str, unknown: Unknown) -> Refused:
    named = f"{shown(stored)!r}" + (f", with the {unknown.what} {unknown.name!r}," if unknown.name != stored else "")
    held = [name for found in definition.chart.histories.values() for name in found]
    histories = f", its histories {', '.join(held)}" if held else ""
    return Refused(
        "unknown_state",
        f"The session was in the state {named} in version {version} of {definition.name},"
        f" which version {definition.version} does not have.",
        hint=f"Its states are {', '.join(definition.chart.states)}{histories}; a new version= with a function marked"
        " @upgrade(to=…, of=…) of its states says what became of the old name, or None where nothing did.",
    )


def shown_state(definition: Definition | None, version: int, stored: str) -> str:
    """A state's name for a list: in the present version if that has it, else as it was stored."""
    if definition is None or version > definition.version:
        return shown(stored)
    try:
        return shown(state(definition, version, stored))
    except Refused:
        return shown(stored)


def document(definition: Definition, version: int, stored: str | None) -> str | None:
    """A document's JSON in the present version. Raises Refused if it does not fit."""
    if stored is None or version == definition.version:
        return stored
    if definition.data is None:
        return None
    found = _stepped(definition, version, DOCUMENT, json.loads(stored), dict)
    try:
        model = definition.data.model_validate_json(json.dumps(found))
    except ValidationError as error:
        raise _unfit(definition, version, "document", DOCUMENT, error) from None
    return model.model_dump_json(by_alias=True, round_trip=True)


def document_at(transaction: Transaction, definition: Definition, record: Record, revision: int) -> str | None:
    """The document as it was at a revision, in the present version. Raises Refused."""
    if definition.data is None:
        return None
    stored, version = transaction.data_at(record.id, revision)
    return document(definition, version, stored)


def timers(definition: Definition, stored: str | None) -> tuple[Timer, ...]:
    """Timers in the present version: those of a state of which nothing became are no more. Raises Refused."""
    found = (_timer(definition, timer) for timer in read(stored))
    return tuple(timer for timer in found if timer is not None)


def _timer(definition: Definition, timer: Timer) -> Timer | None:
    if timer.version == definition.version:
        return timer
    name = timer.state and _stepped(definition, timer.version, STATE, timer.state, str)
    return None if name is None else replace(timer, state=name, version=definition.version)


def timers_at(transaction: Transaction, definition: Definition, record: Record, revision: int) -> tuple[Timer, ...]:
    """The timers as they were set after a revision, in the present version. Raises Refused."""
    return timers(definition, transaction.timers_at(record.id, revision))


def changes(definition: Definition, entry: Entry | Images) -> tuple[RowChange, ...]:
    """The row images of a journal entry, in order and in the present version. Raises Refused."""
    found = []
    for table, before, after in elements(entry.rows or "[]"):
        was = None if before is None else image(definition, entry.version, table, before)
        became = None if after is None else image(definition, entry.version, table, after)
        if was is not None or became is not None:
            found.append(RowChange(table, was, became))
    return tuple(found)


def image(definition: Definition, version: int, table: str, stored: Image) -> Image | None:
    """A row's image in the present version: it has the columns that the table has now. Raises Refused.

    None if the row is no more: that is for an upgrade to say, and for it alone.
    """
    touched = version != definition.version and bool(definition.upgrades.after(version, table))
    if not touched and stored.keys() == _columns(model_of(definition, table)):
        return stored
    row = _row(definition, version, table, stored, rows_id=0)
    return None if row is None else row.model_dump(mode="json")


def _row(definition: Definition, version: int, table: str, stored: Image, *, rows_id: int) -> Row | None:
    """A row in the present version, checked; None if it is no more. Raises Refused."""
    found: Image | None = stored
    if version != definition.version:
        found = _stepped(definition, version, table, dict(stored), dict)
    if found is None:
        return None
    model = model_of(definition, table)
    given = {name: found[name] if name in found else _absent(model, name) for name in _columns(model)}
    known = {name: value for name, value in given.items() if value is not _ABSENT}
    try:
        return model.model_validate({**known, "session_id": rows_id})
    except ValidationError as error:
        raise _unfit(definition, version, f"row of {table}", f"rows of {table}", error) from None


def model_of(definition: Definition, table: str) -> type[Row]:
    """The Row class of a table. Raises Refused if the world has it no more."""
    found = next((row for row in definition.rows if row.__tablename__ == table), None)
    if found is None:
        raise Refused(
            "unknown_table",
            f"The past of this session has rows of {table}, which {definition.name} does not have any more.",
            hint=f"Keep the Row class, or say that they are gone: a function marked @upgrade(to=…, of={table!r})"
            " that returns None.",
        )
    return found


def _stepped(definition: Definition, version: int, of: str, stored: Any, kind: type) -> Any:
    """What the steps make of something stored; None ends them, where rows and states may be no more. Raises Refused."""
    for step in definition.upgrades.after(version, of):
        try:
            stored = step(stored)
        except Exception as error:  # an author's code, which may raise anything
            raise _failed(definition, version, of, f"{step.__qualname__} raised {error!r}") from error
        if stored is None and of != DOCUMENT:
            return None
        if not isinstance(stored, kind):
            said = f"{step.__qualname__} returned {stored!r:.80}, not a {kind.__name__}"
            raise _failed(definition, version, of, said)
    return stored


def _failed(definition: Definition, version: int, of: str, said: str) -> Refused:
    return Refused(
        "cannot_upgrade",
        f"Content of version {version} of {definition.name} cannot be upgraded: {said}, for {of}.",
        hint="Mend that function; nothing was changed.",
    )


def _unfit(definition: Definition, version: int, what: str, of: str, error: ValidationError) -> Refused:
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    return Refused(
        "cannot_upgrade",
        f"A {what} of version {version} does not fit version {definition.version} of {definition.name}:"
        f" {place}: {first['msg']}.",
        hint=f"Have a function marked @upgrade, for {of}, return what fits, or give the field a default.",
    )


_ABSENT = object()
"""What neither an image nor a migration gives."""


@cache
def _columns(model: type[Row]) -> frozenset[str]:
    """The columns of an image."""
    return frozenset(model.model_fields) - {"session_id"}


def _absent(model: type[Row], name: str) -> Any:
    """What a column has in rows that were there before it: what the migration that added it gave them."""
    column = table_of(model).c[name]
    default: Any = getattr(column.server_default, "arg", None)
    if default is not None:
        text = str(getattr(default, "text", default)).strip("'")
        return json.loads(text) if isinstance(column.type, JSON) else _member(column, text)
    return None if column.nullable else _ABSENT


def _is_large(transaction: Transaction, definition: Definition, record: Record) -> bool:
    most, found = transaction.limits.at_once, 0
    for rows_id in row_sets(transaction, record):
        for table in map(table_of, definition.rows):
            some = select(literal(1)).where(table.c.session_id == rows_id).limit(most + 1)
            found += transaction.run(select(func.count()).select_from(some.subquery())).scalar_one()
    return bool(found > most)


def _store_rows(transaction: Transaction, definition: Definition, version: int, rows_id: int) -> None:
    """Write the rows of a row set in present form: all that changed are taken out, then put in again."""
    transaction.defer_references()
    for model in definition.rows:
        table = table_of(model)
        if not definition.upgrades.after(version, table.name):
            continue
        found = list(_upgraded(transaction, definition, version, model, rows_id))
        transaction.run(table.delete().where(table.c.session_id == rows_id))
        if found:
            transaction.run(table.insert(), found)


def _copied(transaction: Transaction, definition: Definition, version: int, ids: list[int]) -> DbSession:
    """Row sets in present form, in a database in memory, where conditions see them as they will be stored."""
    engine = create_engine("sqlite://", module=SQLITE, poolclass=StaticPool)
    copy = DbSession(engine, autoflush=False)
    for model in definition.rows:
        table = table_of(model)
        table.create(copy.connection())
        if (words := search.declared(table)) is not None:
            search.create(copy.connection(), table.name, words)
        for rows_id in ids:
            found = list(_upgraded(transaction, definition, version, model, rows_id))
            if found:
                copy.connection().execute(table.insert(), found)
    return copy


def _upgraded(
    transaction: Transaction, definition: Definition, version: int, model: type[Row], rows_id: int
) -> Iterator[dict[str, Any]]:
    """The live rows of a table in present form, as values by column."""
    table = table_of(model)
    touched = bool(definition.upgrades.after(version, table.name))
    mine = (table.c.session_id == rows_id, *told_rows(transaction, definition, model, rows_id))
    query = select(*map(_raw, table.c)).where(*mine).order_by(*table.primary_key)
    for values in map(dict, transaction.run(query).mappings()):
        if not touched:
            yield values
        elif (row := _row(definition, version, table.name, _plain(model, values), rows_id=rows_id)) is not None:
            yield {column.name: getattr(row, column.name) for column in table.c}


def _raw(column: Any) -> ColumnElement[Any]:
    """A column as it is stored, where the type might refuse what an older version had."""
    return type_coerce(column, String).label(column.name) if isinstance(column.type, Enum) else column


def _plain(model: type[Row], values: dict[str, Any]) -> dict[str, Json]:
    """A stored row as the journal would have it: an Enum's member by its value, if it still is one."""
    named = {column.name: _member(column, values[column.name]) for column in table_of(model).c}
    return model.model_construct(**named).model_dump(mode="json", warnings=False)


def _member(column: Any, value: Any) -> Any:
    """A stored value, but for an Enum's name, which stands for its member, if that still is one."""
    kind = column.type.enum_class if isinstance(column.type, Enum) else None
    return kind[value] if kind is not None and value in kind.__members__ else value
