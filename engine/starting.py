"""Beginning sessions: starting one, and finding what a retry began before."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine import history
from engine.arguments import canonical, parsed
from engine.checks import role_of
from engine.configurations import first_text
from engine.definition import Definition
from engine.errors import NotFound, Refused
from engine.journal import again, key_reused, write
from engine.operations import Done, Opened
from engine.present import bring
from engine.store.records import Record, Transaction
from engine.types import Change, Message, Outcome, Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A request to start a session: its arguments are parsed. `main` makes it the principal's main session."""

    principal: Principal
    definition: Definition
    arguments: Mapping[str, Any]
    plain: str
    """The arguments as the journal keeps them."""
    main: bool = False
    key: str | None = None

    @property
    def request(self) -> str:
        """What a retry with the same key must ask for, too."""
        return f"start {self.definition.name} {self.plain} {self.main}"


@dataclass(frozen=True, slots=True)
class Started:
    """A session that was just made: its row, its first change, and what `start` answered."""

    record: Record
    change: Change
    done: Done

    @property
    def message(self) -> Message:
        """What tells a caller that their main session was made for their call."""
        said = "\n".join(block["text"] for block in self.done.content if block["type"] == "text")
        return Message("info", "started", f"Your main session was started. {said}".strip())


def start(transaction: Transaction, wanted: Start) -> Started:
    """Make a session: revision 1."""
    definition, principal = wanted.definition, wanted.principal
    person = transaction.ensure_person(principal)
    record = transaction.insert_session(
        world=definition.name,
        version=definition.version,
        owner_id=person,
        state=first_text(definition.chart),
        data=None,
    )
    if wanted.main:
        record.main_of = person
    opened = Opened(transaction, definition, record, principal, wanted.arguments, None)
    world = opened.world(())
    answer = None if definition.start is None else definition.start(world, **wanted.arguments)
    done = opened.done(world, answer, opened.begin(world), undo_top=None)
    change = write(opened, done, "start", wanted.plain, person, None)
    if wanted.key is not None:
        transaction.keep_start_key(person, wanted.key, record.id, wanted.request)
    return Started(record, change, done)


def start_main(transaction: Transaction, principal: Principal, definition: Definition) -> Started:
    """Make a principal's main session, for a call that names none. Raises Refused if that needs arguments."""
    if not definition.starts_alone:
        needed = ", ".join(definition.start_parameters.model_fields)
        raise Refused(
            "not_started",
            f"You have no main session of {definition.name}, and starting one needs: {needed}.",
            hint="Call start_session with main=true.",
        )
    given = parsed(definition.start_parameters, {})
    plain = canonical(definition.start_parameters, given)
    return start(
        transaction, Start(principal=principal, definition=definition, arguments=given, plain=plain, main=True)
    )


def begun_before(
    transaction: Transaction, definition: Definition, principal: Principal, key: str | None, request: str
) -> Outcome | None:
    """What the same principal began with the same key, if anything. Raises Refused if it was something else."""
    person = transaction.ensure_person(principal)
    found = None if key is None else transaction.start_key(person, key)
    if found is None:
        return None
    session_id, before = found
    record = transaction.session_by_id(session_id)
    if before != request or record is None:
        raise key_reused()
    if role_of(transaction, principal, record) is None:  # it was theirs, and was handed over since
        raise NotFound("What was begun with this key is not yours any more.", hint="Use another key.")
    bring(transaction, definition, record)
    # What began it may be past what is kept, while its key still counts.
    entry = transaction.entry(record.id, 1) or history.entry_at(transaction, record, record.floor)
    outcome = again(transaction, definition, record, entry, principal, revision=record.forked_at or 1)
    return outcome if record.forked_at is None else dataclasses.replace(outcome, value=None, content=())
