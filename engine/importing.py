"""Importing a session file: written ahead as a batch, then published as a session or adopted by one."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from engine import batches
from engine.checks import possible
from engine.claims import settle
from engine.configurations import shown
from engine.content import Text
from engine.copying import ENTRIES, Piece, appended, in_parts, placed_pieces
from engine.errors import NotFound, Refused
from engine.files.contents import Contents
from engine.files.opening import damaged, explaining
from engine.journal import weight
from engine.limits import check_stored
from engine.operations import Done, Opened, Operation, opened_world
from engine.references import in_circle
from engine.store import hidden
from engine.store.records import Entry, Record, Transaction
from engine.store.stores import Store
from engine.timers import Timer, next_due, text_of
from engine.types import Json, Message, Outcome, Principal, Role

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Import:
    """What was written ahead of a file: its session as the file has it, the row set to show, and its bytes."""

    head: Mapping[str, Json]
    batch: batches.Batch
    rows_id: int
    stored: int
    timers: tuple[Timer, ...]
    exported_at: datetime

    def timers_now(self, now: datetime) -> tuple[Timer, ...]:
        """What the session waits for, with as much left as there was when the file was made."""
        by = max(timedelta(), now - self.exported_at)
        return tuple(timer.later(by) for timer in self.timers)


class ImportArguments(BaseModel):
    """What a session became: which file's by its digest, made of which session at which revision."""

    model_config = ConfigDict(extra="forbid")
    digest: str
    session: str
    revision: int


@contextmanager
def written(store: Store, contents: Contents, owner: Principal) -> Iterator[Import]:
    """A file's session written ahead with its history; it is gone after the block, unless it was published."""
    owner_id = store.write(lambda transaction: transaction.ensure_person(owner))
    with batches.begun(store, contents.definition, owner_id) as batch:
        shown, numbers = contents.row_sets()
        into = {number: batch.row_set() if number else batch.id for number in numbers}
        with _held_against(contents):
            stored = contents.weight(earlier=True) + sum(map(weight, contents.entries()))
            check_stored(stored, store.limits)
            for number, rows_id in into.items():
                batch.put(_row_pieces(contents, None if number == shown else number, rows_id))
            people = batch.write(_people(contents, owner))
            batch.put(_journal_pieces(contents, people, into))
        yield Import(contents.head, batch, into[shown], stored, contents.timers, contents.exported_at)


@contextmanager
def written_rows(store: Store, contents: Contents, record: Record) -> Iterator[Import]:
    """A file's present rows written ahead; they are gone after the block, unless they were adopted."""
    with batches.begun(store, contents.definition, record.owner_id) as batch:
        with _held_against(contents):
            batch.put(_row_pieces(contents, None, batch.id))
        weight_now = contents.weight(earlier=False)
        yield Import(contents.head, batch, batch.id, weight_now, contents.timers, contents.exported_at)


def publish(transaction: Transaction, done: Import, handle: str | None) -> Outcome:
    """Make what was written ahead a session, under a handle or a new one. Raises NotFound if that one is taken."""
    head, definition = done.head, done.batch.definition
    if handle is not None and transaction.session(handle) is not None:
        raise not_yours(handle)
    made = done.batch.record(transaction)
    made.handle = handle or made.handle
    for name in ("state", "data", "revision", "undo_top", "redo_top", "forked_from", "forked_at", "floor"):
        setattr(made, name, head[name])
    made.created_at, made.ended_at = head["created_at"], head["ended_at"]
    made.copied_to = made.revision
    made.rows_id = None if done.rows_id == made.id else done.rows_id
    made.stored = done.stored
    timers = done.timers_now(transaction.now)
    made.timers, made.due_at = text_of(timers), next_due(timers)
    hidden.publish(transaction, made)
    hidden.keep_timers(transaction, made)
    owner = transaction.principal(made.owner_id)
    change = settle(transaction, definition, made, owner)
    view = partial(opened_world, transaction, definition, made, owner)
    allowed = possible(view, made, definition, transaction.now)
    note = Message("info", "imported", f"Imported {head['handle']} at revision {head['revision']}.")
    return Outcome(made.handle, made.world, made.revision, shown(made.state), allowed, None, (), (note,), change=change)


def not_yours(handle: str) -> NotFound:
    """What is said of an old handle that is not the importer's: the same as of one that was never minted."""
    return NotFound(
        f"There is no session {handle[:60]!r} of yours to be imported again.",
        hint="Without the old handle, the import makes a new session of yours.",
    )


def keeps_history(world: str) -> Refused:
    """The refusal to have a file's rows take the place of rows that are history."""
    return Refused(
        "keeps_history",
        f"The rows of a session of {world} are its history, which a file's would replace.",
        hint="Import the file without the old handle: that makes a new session.",
    )


def _import(opened: Opened) -> Done:
    done = opened.prepared
    if not isinstance(done, Import):
        raise TypeError("import takes what was written ahead of a file: call Dispatcher.import_file")
    if opened.definition.shared:
        raise Refused(
            "touches_shared",
            f"A session of {opened.definition.name} may hold what all sessions share, which a file cannot take back.",
            hint="Import the file without the old handle: that makes a new session, which claims nothing.",
        )
    head, has_rows = done.head, bool(opened.definition.rows)
    text = f"Imported: the session is as {head['handle']} was at revision {head['revision']}."
    return Done(
        value={"session": head["handle"], "revision": head["revision"]},
        content=(Text(text).block(),),
        state=head["state"],
        data=head["data"],
        timers=done.timers_now(opened.transaction.now),
        undo_top=opened.record.revision + 1,
        below=opened.record.undo_top,
        adopted=done.rows_id if has_rows else None,
        grown=done.stored,
    )


IMPORT = Operation("import", ImportArguments, Role.OWNER, lambda definition: definition.write_scope, _import)
"""The change by which a session becomes what a file's was."""


def _people(contents: Contents, owner: Principal) -> Callable[[Transaction], dict[int, int]]:
    """Finds everybody's internal id: they are people of that file, but for the owner, who is the importer."""
    head = contents.head
    strangers = {
        number: Principal(f"import:{head['handle']}", f"{number} {name}", name)
        for number, name in contents.people.items()
    }
    everybody = {**strangers, head["owner"]: owner}
    return lambda transaction: {number: transaction.ensure_person(principal) for number, principal in everybody.items()}


def _journal_pieces(contents: Contents, people: Mapping[int, int], into: Mapping[int, int]) -> Iterator[Piece]:
    def moved(entry: Entry) -> Entry:
        adopted = None if entry.adopted is None else into[entry.adopted]
        return replace(entry, session_id=into[0], person_id=people[entry.person_id], adopted=adopted, shared=None)

    return (appended(some) for some in in_parts(map(moved, contents.entries()), ENTRIES))


def _row_pieces(contents: Contents, row_set: int | None, rows_id: int) -> Iterator[Piece]:
    for group, rows in contents.groups(row_set):
        yield from placed_pieces(rows, rows_id, circle=in_circle(group))


@contextmanager
def _held_against(contents: Contents) -> Iterator[None]:
    """Have a row that breaks its table's rules held against the file."""
    path = contents.file.path
    try:
        with explaining(path):
            yield
    except Refused as error:
        if error.rule != "constraint":
            raise
        raise damaged(path, error.reason.rstrip(".")) from error
