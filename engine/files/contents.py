"""What a session file holds, as a store will have it; every value is looked at before it is given."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from sqlalchemy import Table

from engine.configurations import is_known, is_sound
from engine.copying import paced
from engine.definition import Definition
from engine.errors import Refused
from engine.files.opening import SessionFile, explaining, newer
from engine.files.shapes import PERSON, SESSION, SNAPSHOT, parsed_json
from engine.limits import Limits, check_data, check_timers, size
from engine.models import values_of
from engine.present import document, image, model_of, state, timers
from engine.references import Placed, table_groups
from engine.store.records import Entry
from engine.timers import Timer, read, text_of
from engine.types import Json, client_named, dumped, elements

HANDLE = re.compile(r"ses_[A-Za-z0-9_-]{8,64}")
NAME = 200
"""Characters of a person's name at most."""
SKEW = timedelta(days=1)
"""How far the clocks of two machines may differ that wrote one session."""


@dataclass(frozen=True, slots=True)
class Contents:
    """A session file in the words of a world. Everything raises Refused: damaged_file, or what an upgrade says."""

    file: SessionFile
    definition: Definition
    limits: Limits

    def check(self) -> None:
        """Look at everything. Raises Refused: damaged_file, newer_file; LimitExceeded."""
        version = self.file.about["world_version"]
        if version > self.definition.version:
            name = self.definition.name
            raise newer(self.file.path, f"version {version} of {name}", f"{self.definition.version}")
        with explaining(self.file.path):
            _check_head(self._stored, self.file.about, self.definition)
            check_data(self.head["data"] or "", self.limits)
            check_timers(len(self.timers), text_of(self.timers) or "", self.limits)
            for entry in self.entries():
                known = _is_state(self.definition, entry.version, entry.state)
                _insist(known, f"there is no state {entry.state!r:.60}, of revision {entry.revision}")
                self._document(entry.version, entry.data)
                self._check_images(entry)
                for timer in read(entry.timers):
                    _check_timer(self.definition, timer, entry, self.exported_at)
            for table in self._own_tables:
                for found in self._images_now(table):
                    self._values(table, version, found)
            for _, table, found in self._earlier():
                self._values(table, version, found)

    @property
    def head(self) -> Mapping[str, Json]:
        """The session as it was when the file was made, its state and document as the world has them now."""
        found, version = dict(self._stored), self.file.about["world_version"]
        found["state"] = state(self.definition, version, found["state"])
        return found | {"data": self._document(version, found["data"])}

    @property
    def timers(self) -> tuple[Timer, ...]:
        """What the session waited for when the file was made, in the world's present version."""
        if "timers" not in (name for name, _ in self.file.journal.columns) or self._stored["ended_at"] is not None:
            return ()
        found = self.file.connection.execute(
            "select timers from journal where timers is not null order by revision desc limit 1"
        ).fetchone()
        return () if found is None else timers(self.definition, found[0])

    @property
    def exported_at(self) -> datetime:
        """When the file was made."""
        return datetime.fromisoformat(self.file.about["exported_at"])

    @property
    def _own_tables(self) -> list[str]:
        """The tables of the session's rows: those of copies of shared rows are only to be looked at."""
        return [table for table in self.file.worlds if table not in self.file.about["shared"]]

    @property
    def _stored(self) -> Mapping[str, Json]:
        rows = list(self.file.rows(SESSION))
        _insist(len(rows) == 1, f"it has {len(rows)} sessions")
        return dict(zip((name for name, _ in SESSION.columns), rows[0], strict=True))

    @property
    def people(self) -> Mapping[int, str]:
        """The people of the file, by number."""
        found = dict(self.file.rows(PERSON))
        for number, name in found.items():
            _insist(isinstance(number, int) and isinstance(name, str) and len(name) <= NAME, "a person has no name")
        return found

    def entries(self) -> Iterator[Entry]:
        """The journal, oldest first: `person_id` and `adopted` are numbers of the file, `session_id` is 0."""
        people, head, stacks = self.people, self._stored, _Chain()
        before = None
        for row in self.file.rows(self.file.journal):
            values = dict(zip((name for name, _ in self.file.journal.columns), row, strict=True))
            person = values.pop("by")
            _insist(person in people, f"nobody did revision {values['revision']}")
            entry = Entry(session_id=0, person_id=person, key=None, **values)
            _check_entry(entry, self.file.about["world_version"], self.limits)
            _insist(before is None or entry.revision == before + 1, f"revision {entry.revision} is out of order")
            _insist(before is not None or 1 <= entry.revision <= head["floor"], "its beginning is missing")
            stacks.add(entry)
            before = entry.revision
            yield entry
        _insist(before == head["revision"], "its last revisions are missing")
        stacks.check_tops(head["undo_top"], head["redo_top"])

    def row_sets(self) -> tuple[int, tuple[int, ...]]:
        """The row set that is shown, and all there are, the session's own first."""
        shown, found = 0, {0: None}
        for (adopted,) in self.file.connection.execute(
            "select adopted from journal where adopted is not null order by revision"
        ):
            shown = adopted
            found[adopted] = None
        return shown, tuple(found)

    def groups(self, row_set: int | None = None) -> Iterator[tuple[list[Table], Iterator[Placed]]]:
        """The rows by groups of tables, each after those it refers to: those shown, or those of an earlier row set."""
        for group in table_groups(self.definition.rows):
            yield group, chain.from_iterable(self._placed(table, row_set) for table in group)

    def weight(self, *, earlier: bool) -> int:
        """The bytes of the rows as JSON: those that are shown, or those of earlier row sets, too."""
        now = sum(size(dumped(found)) for table in self._own_tables for found in self._images_now(table))
        return now + (sum(size(text) for _, _, text in self.file.rows(SNAPSHOT)) if earlier else 0)

    def _placed(self, table: Table, row_set: int | None) -> Iterator[Placed]:
        version = self.file.about["world_version"]
        for found in self._images_now(table.name) if row_set is None else self._images_of(row_set, table.name):
            if (values := self._values(table.name, version, found)) is not None:
                yield table, values

    def _images_now(self, table: str) -> Iterator[Json]:
        shape = self.file.worlds.get(table)
        return iter(()) if shape is None else map(shape.image, self.file.rows(shape))

    def _images_of(self, row_set: int, table: str) -> Iterator[Json]:
        statement = 'select "row" from snapshot where row_set = ? and "table" = ? order by rowid'
        found = self.file.connection.execute(statement, (row_set, table))
        return (parsed_json(text) for (text,) in paced(found))

    def _earlier(self) -> Iterator[tuple[int, str, Json]]:
        for number, table, text in self.file.rows(SNAPSHOT):
            _insist(isinstance(number, int) and isinstance(table, str), "a snapshot names no row set and table")
            yield number, table, parsed_json(text)

    def _document(self, version: int, stored: str | None) -> str | None:
        """A document in the world's present version."""
        if stored in (None, "null"):
            return None
        if version == self.definition.version and self.definition.data is not None:
            self.definition.data.model_validate_json(stored or "")
        return document(self.definition, version, stored)

    def _values(self, table: str, version: int, stored: Json) -> dict[str, Any] | None:
        """What a row's image stands for in the world's present version; None if the row is no more."""
        _insist(isinstance(stored, dict), f"a row of {table} is no object")
        try:
            found = image(self.definition, version, table, stored)
        except Refused as error:
            if version < self.definition.version or error.rule != "cannot_upgrade":
                raise
            raise ValueError(error.reason.rstrip(".")) from error  # nothing was to be upgraded: it was never so
        return None if found is None else values_of(model_of(self.definition, table), found)

    def _check_images(self, entry: Entry) -> None:
        for table, before, after in paced(elements(entry.rows or "[]")):
            _insist(isinstance(table, str) and (before or after) is not None, "a change has no row")
            for found in (before, after):
                if found is not None and table in self.definition.tables - self.definition.shared_tables:
                    self._values(table, entry.version, found)
        for table, before, after in parsed_json(entry.shared or "[]"):
            whole = all(found is None or isinstance(found, dict) for found in (before, after))
            _insist(isinstance(table, str) and whole, "a change of shared rows has no row")


@dataclass(slots=True)
class _Chain:
    """What undo and redo would go along: which revisions were undos. What lay before `first` is not kept."""

    first: int = 0
    last: int = 0
    undos: set[int] = field(default_factory=set)

    def add(self, entry: Entry) -> None:
        """Take up the next entry. Raises ValueError."""
        self.first = self.first or entry.revision
        self._check(entry.target, undo=False)
        self._check(entry.below, undo=entry.action in ("undo", "redo"))
        if entry.action in ("undo", "redo"):
            _insist(entry.target is not None, f"revision {entry.revision} undoes nothing")
        if entry.action == "undo":
            self.undos.add(entry.revision)
        self.last = entry.revision

    def check_tops(self, undo: int | None, redo: int | None) -> None:
        """Insist that the session's next undo and redo are there. Raises ValueError."""
        self._check(undo, undo=False)
        self._check(redo, undo=True)

    def _check(self, revision: int | None, *, undo: bool) -> None:
        before = revision is None or 1 < revision < self.first
        known = revision in self.undos if undo else 2 <= (revision or 0) <= self.last
        _insist(before or known, f"there is no revision {revision} to go back to")


def _check_head(head: Mapping[str, Json], about: Mapping[str, Json], definition: Definition) -> None:
    same = {"handle": "handle", "world": "world", "version": "world_version", "revision": "revision"}
    _insist(all(head[here] == about[there] for here, there in same.items()), "it does not agree with itself")
    _insist(HANDLE.fullmatch(head["handle"]) is not None, "its handle is none")
    _insist(_is_time(about["exported_at"]), "when it was made is no time")
    _insist(isinstance(head["floor"], int) and 1 <= head["floor"] <= head["revision"], "its first revision is none")
    known = isinstance(head["state"], str) and _is_state(definition, head["version"], head["state"])
    _insist(known, f"there is no state {head['state']!r:.60}")
    for name in ("created_at", "updated_at", "ended_at"):
        _insist((name == "ended_at" and head[name] is None) or _is_time(head[name]), f"{name} is no time")
    forked = head["forked_from"], head["forked_at"]
    _insist(forked == (None, None) or HANDLE.fullmatch(str(forked[0])) is not None, "its origin is none")


def _check_entry(entry: Entry, version: int, limits: Limits) -> None:
    place = f"revision {entry.revision}"
    _insist(all(isinstance(text, str) for text in (entry.action, entry.state, entry.at)), f"{place} is not whole")
    _insist(isinstance(entry.version, int) and 1 <= entry.version <= version, f"{place} has no version")
    _insist(_is_time(entry.at), f"{place} has no time")
    _insist(entry.adopted is None or entry.adopted >= 0, f"{place} has no row set")
    _insist(entry.client is None or entry.client == client_named(entry.client), f"the client of {place} has no name")
    _insist(isinstance(parsed_json(entry.arguments), dict), f"the arguments of {place} are none")
    result = parsed_json(entry.result)
    _insist(isinstance(result, dict) and result.keys() == {"value", "content"}, f"the result of {place} is none")
    _insist(isinstance(result["content"], list), f"the content of {place} is none")
    for block in result["content"]:
        _insist(isinstance(block, dict) and isinstance(block.get("type"), str), f"the content of {place} is none")
    parsed_json(entry.data or "null")
    _insist(size(entry.arguments) <= limits.arguments, f"the arguments of {place} are too large")
    _insist(size(entry.result) <= 2 * limits.result + 64, f"the result of {place} is too large")
    _insist(size(entry.data or "") <= limits.data, f"the document of {place} is too large")


def _check_timer(definition: Definition, timer: Timer, entry: Entry, exported_at: datetime) -> None:
    place = f"a timer of revision {entry.revision}"
    _insist(timer.set_at - exported_at <= SKEW, f"{place} was set after the file was made")
    _insist(1 <= timer.version <= entry.version, f"{place} has no version")
    known = timer.version < definition.version or timer.state in definition.chart.node
    _insist(known, f"{place} is of no state: {timer.state!r:.60}")


def _is_state(definition: Definition, version: int, text: str) -> bool:
    """Whether a text is a state of that version; of an older one, what it is called is for upgrades to say."""
    return is_known(definition.chart, text) if version == definition.version else is_sound(text)


def _is_time(text: Json) -> bool:
    return bool(datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="microseconds") == text)


def _insist(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)
