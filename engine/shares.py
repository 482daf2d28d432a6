"""Sharing a session with a person, handing it over to them, and what they may do about it: take it over, or leave.

Whoever is handed a session is an editor until they take it over: nobody comes to own what they did not ask for, and
which counts among theirs.
"""

import dataclasses
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from engine.checks import need, role_of
from engine.errors import Forbidden, Refused
from engine.limits import check_sessions
from engine.operations import Done, Opened, Operation, as_it_was
from engine.store import offers
from engine.types import Role

_SHARED = "at once with somebody who is known here by that name, else from when they next sign in."


class ShareArguments(BaseModel):
    """Whom to share with, by internal id or by an offer to a name, and as what; no role takes the share back.

    Without either it is about whoever calls: the role owner takes over what was handed to them, no role leaves.
    """

    model_config = ConfigDict(extra="forbid")
    person: int | None = None
    offer: str | None = None
    role: Role | None = Role.VIEWER

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.person is not None and self.offer is not None:
            raise ValueError("give either person or offer")
        if self.person is not None and self.role is Role.OWNER:
            raise ValueError("a session is handed over by an offer")
        if self.person is None and self.offer is None and self.role not in (Role.OWNER, None):
            raise ValueError("name the person; without one, owner takes over what was handed to you, and null leaves")
        return self


def _share(opened: Opened) -> Done:
    if opened.arguments["person"] is None and opened.arguments["offer"] is None:
        return _take_over(opened) if opened.arguments["role"] else _leave(opened)
    need(role_of(opened.transaction, opened.principal, opened.record), Role.OWNER)
    return _share_with(opened, opened.arguments["role"])


def _share_with(opened: Opened, role: Role | None) -> Done:
    transaction, record = opened.transaction, opened.record
    people = _sharers(opened)
    if people == [record.owner_id]:
        raise Refused("already_owner", "They own the session.")
    people = [person for person in people if person != record.owner_id]
    if role is not Role.OWNER:
        offers.withdraw_handing(transaction, record.id, people)
    for person in people:
        transaction.share(record.id, person, role and offers.held(role))
    if opened.arguments["offer"] is not None:
        offers.take(transaction, opened.arguments["offer"], people if role else ())
    return dataclasses.replace(as_it_was(opened, _told(role)), parted=() if role else tuple(people))


def _told(role: Role | None) -> str:
    if role is None:
        return "They have no part in it any more."
    if role is Role.OWNER:
        return (
            f"Offered to be handed over, and shared as editor: {_SHARED} It is yours until they take it over, by"
            " share_session with the role owner and no person. Share it as editor again to think better of it."
        )
    return f"Shared as {role}: {_SHARED}"


def _sharers(opened: Opened) -> list[int]:
    """Whom a share is for: a person, or who took an offer up before and who goes by its name now."""
    person, offer = opened.arguments["person"], opened.arguments["offer"]
    if offer is None:
        return [person]
    takers = offers.say(opened.transaction, opened.record.id, offer, opened.arguments["role"])
    name = opened.prepared if isinstance(opened.prepared, str) else None
    known = () if name is None else offers.known_as(opened.transaction, name, opened.principal)
    return list(dict.fromkeys((*takers, *known)))


def _take_over(opened: Opened) -> Done:
    """Have a session be owned by whom it was handed to; its owner so far goes on as an editor."""
    transaction, record = opened.transaction, opened.record
    person, before = transaction.ensure_person(opened.principal), record.owner_id
    if person == before:
        raise Refused("already_owner", "You own the session.")
    if not offers.is_handed(transaction, record.id, person):
        raise Forbidden("The session was not handed over to you.", hint="Ask its owner, or fork it.")
    transaction.lock_person(person)
    check_sessions(transaction.owned(person), transaction.limits)
    transaction.share(record.id, person, None)
    transaction.share(record.id, before, Role.EDITOR)
    offers.end_those_of_before(transaction, record.id)
    transaction.hand_over(record.id, person)
    record.owner_id, record.main_of = person, None
    return as_it_was(
        opened, "The session is yours now. Its owner until now is an editor; what nobody took up of theirs is void."
    )


def _leave(opened: Opened) -> Done:
    transaction, record = opened.transaction, opened.record
    person = transaction.ensure_person(opened.principal)
    if person == record.owner_id:
        raise Refused("already_owner", "The session is yours.", hint="End it, or hand it over: role owner.")
    offers.withdraw_handing(transaction, record.id, [person])
    transaction.share(record.id, person, None)
    return dataclasses.replace(as_it_was(opened, "You have no part in it any more."), parted=(person,))


SHARE = Operation(
    "share", ShareArguments, Role.VIEWER, lambda definition: definition.write_scope, _share, after_end=True
)
