"""The journal: writing what was done, and finding what was done before."""

import json
from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel

from engine import history
from engine.arguments import canonical, parsed
from engine.checks import possible
from engine.configurations import shown
from engine.definition import Definition
from engine.errors import Conflict, InvalidArguments, Refused
from engine.expiry import expired_at
from engine.failpoints import reach
from engine.limits import check_result, check_stored, check_timers, size
from engine.operations import Call, Done, Opened, opened_world
from engine.pasts import keep_snapshot
from engine.store import effects
from engine.store.effects import Asked
from engine.store.hidden import adopt
from engine.store.records import Entry, Record, Transaction
from engine.timers import next_due, text_of
from engine.types import Change, Json, Message, Outcome, Principal, RowChange, dumped

FREEING = ("undo", "end", "share", "timer")
"""What stays possible in a session that is full."""


def write(opened: Opened, done: Done, action: str, request: str, person: int, key: str | None) -> Change:
    """Write what an operation did: the session's row at its next revision, and the journal entry.

    Raises LimitExceeded, Conflict.
    """
    reach("before_journal")
    record, transaction, state_before = opened.record, opened.transaction, opened.record.state
    entry, grown = _entry(opened, done, action, request, person, key)
    record.stored = max(0, record.stored + weight(entry) + grown + done.grown)
    if action not in FREEING:
        check_stored(record.stored, transaction.limits)
    record.state, record.data = done.state, done.data
    if done.timers is not None:
        text = text_of(done.timers)
        if action not in FREEING and len(text or "") > len(record.timers or ""):
            check_timers(len(done.timers), text or "", transaction.limits)
        record.timers, record.due_at = text, next_due(done.timers)
    record.version = opened.definition.version
    record.revision = entry.revision
    record.undo_top, record.redo_top = done.undo_top, done.redo_top
    if not transaction.save(record, expected=record.revision - 1):
        raise Conflict("The session was changed by another at the same instant.", revision=record.revision)
    if entry.adopted is not None:
        adopt(transaction, record, entry.adopted)
    transaction.append(entry)
    if done.effects:
        asked = (Asked(one.effect.name, one.arguments, one.effect.deadline, one.compensates) for one in done.effects)
        effects.insert(transaction, record.id, record.revision, asked)
    if record.revision % transaction.limits.snapshot == 0 and opened.definition.rows:
        keep_snapshot(transaction, opened.definition, record)
    reach("after_journal")
    return _change(opened, entry, state_before, done)


def weight(entry: Entry) -> int:
    """The bytes of what an entry keeps."""
    return sum(size(text) for text in _kept(entry) if text)


def _kept(entry: Entry) -> tuple[str | None, ...]:
    return entry.arguments, entry.result, entry.data, entry.rows, entry.shared, entry.timers


def _entry(opened: Opened, done: Done, action: str, request: str, person: int, key: str | None) -> tuple[Entry, int]:
    """The entry of what was done, and by how many bytes the rows grew. Raises LimitExceeded."""
    rows, grown = _images(done.rows)
    value, content = dumped(done.value), dumped(done.content)
    check_result(value, content, opened.transaction.limits)
    entry = Entry(
        session_id=opened.record.id,
        revision=opened.record.revision + 1,
        action=action,
        arguments=request,
        person_id=person,
        key=key,
        version=opened.definition.version,
        result=f'{{"value":{value},"content":{content}}}',
        state=done.state,
        data=(done.data or "null") if done.data != opened.record.data else None,
        rows=rows,
        seed=done.seed,
        target=done.target,
        below=done.below,
        at=max(opened.transaction.at, opened.record.updated_at),
        adopted=done.adopted,
        shared=_images(done.shared)[0],
        timers=_timers(opened.record, done),
        client=opened.principal.client,
    )
    return entry, grown


def _timers(record: Record, done: Done) -> str | None:
    """The timers as the journal keeps them; None if they stayed the same."""
    if done.timers is None or (text := text_of(done.timers)) == record.timers:
        return None
    return text or "null"


def _change(opened: Opened, entry: Entry, state_before: str, done: Done) -> Change:
    return Change(
        session=opened.record.handle,
        world=opened.definition.name,
        revision=entry.revision,
        action=entry.action,
        arguments=json.loads(entry.arguments),
        principal=opened.principal,
        at=datetime.fromisoformat(entry.at),
        state_before=shown(state_before) if entry.revision > 1 else None,
        state=shown(entry.state),
        rows=done.rows,
        shared=done.shared,
        undone=entry.target,
        main_of=opened.record.main_of,
        adopted=entry.adopted is not None,
        parted=done.parted,
        due_at=opened.record.due_at,
        effects=len(done.effects),
        client=entry.client,
    )


def replayed(
    transaction: Transaction,
    definition: Definition,
    record: Record,
    person: int | None,
    call: Call,
    parameters: type[BaseModel],
    request: str,
) -> Outcome | None:
    """The recorded answer to a call that was carried out before. Raises Refused if its key was used for another.

    `parameters` is the model of the call's arguments, `request` their canonical JSON.
    """
    if person is None:
        return None
    if call.key is not None:
        entry = transaction.entry_of_key(record.id, person, call.key)
        if entry is not None and not _same(entry, call, parameters, request):
            raise key_reused()
        return None if entry is None else again(transaction, definition, record, entry, call.principal)
    if call.if_revision is None or call.if_revision >= record.revision:
        return None
    entry = transaction.entry(record.id, call.if_revision + 1)
    if entry is None or entry.person_id != person or not _same(entry, call, parameters, request):
        return None
    return again(transaction, definition, record, entry, call.principal) if history.stands(transaction, entry) else None


def _same(entry: Entry, call: Call, parameters: type[BaseModel], request: str) -> bool:
    """Whether an entry is of that very call. One of an older version may lack what has a default by now."""
    if entry.action != call.action or entry.arguments == request:
        return entry.action == call.action
    try:
        return canonical(parameters, parsed(parameters, json.loads(entry.arguments))) == request
    except InvalidArguments:
        return False


def again(
    transaction: Transaction,
    definition: Definition,
    record: Record,
    entry: Entry,
    principal: Principal,
    revision: int | None = None,
) -> Outcome:
    """The recorded answer of an entry, marked as a replay, beside the session as it is now."""
    recorded = json.loads(entry.result)
    allowed = possible(
        lambda: opened_world(transaction, definition, record, principal), record, definition, transaction.now
    )
    at = revision or entry.revision
    note = Message("info", "replayed", f"This was done before, at revision {at}; it was not done again.")
    return Outcome(
        record.handle,
        record.world,
        record.revision,
        shown(record.state),
        allowed,
        recorded["value"],
        tuple(recorded["content"]),
        (note,),
        replayed=at,
        expired_at=expired_at(record, definition, transaction.now),
    )


def key_reused() -> Refused:
    """The refusal of a key that was used for another call."""
    return Refused(
        "key_reused",
        "This key was used for another action or other arguments.",
        hint="Send the same key only to repeat the very same call; take a new key for a new one.",
    )


def _images(changes: tuple[RowChange, ...]) -> tuple[str | None, int]:
    """The images as the journal keeps them, and by how many bytes the rows grew."""
    if not changes:
        return None, 0
    parts = [(dumped(change.table), dumped(change.before), dumped(change.after)) for change in changes]
    grown = sum(
        _length(change.after, after) - _length(change.before, before)
        for change, (_, before, after) in zip(changes, parts, strict=True)
    )
    return f"[{','.join(f'[{table},{before},{after}]' for table, before, after in parts)}]", grown


def _length(image: Mapping[str, Json] | None, text: str) -> int:
    return 0 if image is None else size(text)
