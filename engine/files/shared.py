"""Which shared rows go along with an exported session: of public tables, what it changed, and what its rows name."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from pydantic import ValidationError
from sqlalchemy import and_, exists, or_, select, tuple_

from engine.definition import Definition
from engine.models import table_of, values_of
from engine.shared_rows import SharedRow
from engine.store.records import Entry, Record, Transaction
from engine.types import Json, dumped

KEYS = 200
"""Keys that are asked for at once."""


class SharedCopies:
    """The public shared rows that a session refers to, gathered while its journal goes by."""

    def __init__(self, definition: Definition) -> None:
        self.models = {table_of(model).name: model for model in definition.shared if model.__public__}
        self._definition = definition
        self._changed: dict[str, set[tuple[Any, ...]]] = {name: set() for name in self.models}

    def seen(self, entry: Entry) -> str | None:
        """An entry's images of shared rows, but for those of tables that are not public."""
        kept = [change for change in json.loads(entry.shared or "[]") if change[0] in self.models]
        for table, before, after in kept:
            for image in (before, after):
                if image is not None and (key := _key_in(self.models[table], image)) is not None:
                    self._changed[table].add(key)
        return dumped(kept) if kept else None

    def images(self, transaction: Transaction, record: Record, name: str) -> Iterator[dict[str, Json]]:
        """The rows of a public table that the session refers to, as they are now, by key."""
        model = self.models[name]
        found: dict[tuple[Any, ...], dict[str, Json]] = {}
        for condition in self._conditions(record, model):
            for row in transaction.db.scalars(select(model).where(condition)):
                found[tuple(getattr(row, column) for column in _key(model))] = row.model_dump(mode="json")
                transaction.db.expunge(row)
        return (found[key] for key in sorted(found))

    def _conditions(self, record: Record, model: type[SharedRow]) -> Iterator[Any]:
        table, key = table_of(model), _key(model)
        changed = iter(sorted(self._changed[table.name]))
        while some := list(islice(changed, KEYS)):
            yield tuple_(*(table.c[name] for name in key)).in_(some)
        naming = [
            table_of(row) for row in self._definition.rows if key != ["id"] and set(key) <= set(table_of(row).c.keys())
        ]
        if naming:
            yield or_(
                *(
                    exists().where(own.c.session_id == record.rows_at, and_(*(own.c[n] == table.c[n] for n in key)))
                    for own in naming
                )
            )


def _key(model: type[SharedRow]) -> list[str]:
    return [column.name for column in table_of(model).primary_key]


def _key_in(model: type[SharedRow], image: Json) -> tuple[Any, ...] | None:
    """The key in an image; None where an older version's does not fit any more."""
    try:
        values = values_of(model, image)
        return tuple(values[name] for name in _key(model))
    except (ValidationError, KeyError):
        return None
