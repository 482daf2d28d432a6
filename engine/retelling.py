"""Changes as they were, made of the journal's entries: what compensation, hooks and webhooks are given."""

import json
from datetime import datetime

from engine.definition import Definition
from engine.present import changes, shown_state
from engine.store.records import Entry, Record, Transaction
from engine.types import Change, RowChange


def change_of(
    transaction: Transaction, definition: Definition, record: Record, entry: Entry, before: Entry | None
) -> Change:
    """The change that an entry is of, in the world's present version. `before` is the entry before it, if any.

    Raises Refused where the present version cannot read what an older one wrote.
    """
    return Change(
        session=record.handle,
        world=definition.name,
        revision=entry.revision,
        action=entry.action,
        arguments=json.loads(entry.arguments),
        principal=transaction.principal(entry.person_id),
        at=datetime.fromisoformat(entry.at),
        state_before=None if before is None else shown_state(definition, before.version, before.state),
        state=shown_state(definition, entry.version, entry.state),
        rows=changes(definition, entry),
        shared=shared_images(entry),
        undone=entry.target,
        main_of=record.main_of,
        adopted=entry.adopted is not None,
        client=entry.client,
    )


def shared_images(entry: Entry) -> tuple[RowChange, ...]:
    """The images of the shared rows that an entry touched, as it was written."""
    return tuple(RowChange(*parts) for parts in json.loads(entry.shared or "[]"))
