"""Deleting a person: what is theirs goes, and the one row that names them is blanked.

Elsewhere they are only that row's id, and read as "a deleted person" from then
on. Whoever signs in as they did is somebody new.
"""

import secrets
from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import func, literal, or_
from sqlmodel import col, delete, select, update

from engine import batches
from engine.auth.people.naming import Who, person_of
from engine.errors import NotFound
from engine.registry import Registry
from engine.store import hidden
from engine.store.access import (
    AccountRow,
    BrowserRow,
    ClientRow,
    GrantRow,
    InvitationRow,
    OfferRow,
    TakerRow,
    TokenRow,
)
from engine.store.offers import whom
from engine.store.records import Transaction
from engine.store.stores import Store
from engine.store.tables import ConnectionRow, JournalRow, PersonRow, SessionRow, ShareRow, StartKeyRow
from engine.types import DELETED

OWN: tuple[Any, ...] = (
    AccountRow.person_id,
    BrowserRow.person_id,
    TokenRow.person_id,
    InvitationRow.person_id,
    ConnectionRow.person_id,
    StartKeyRow.person_id,
    TakerRow.person_id,
    ShareRow.person_id,
)
"""What goes with a person, by the column that says whose it is."""


def forget(store: Store, registry: Registry, who: Who) -> int:
    """Delete a person; how many sessions went with them.

    In one transaction all of it is out of sight and nothing opens a door any more; then the sessions are deleted, a
    little at a time. If that is cut off, the sweeper goes on with it.
    """
    erased = store.write(partial(_forget, who=who))
    for session_id, world in store.read(partial(_left, person=who.id)):
        batches.delete(store, registry.definition(world), session_id)
    return erased


def _forget(transaction: Transaction, who: Who) -> int:
    # Whoever acts locks a session, then the person, so that is the order here. Who begins a session as this person
    # meanwhile waits for their row, or is waited for.
    _owned(transaction, who)
    who = _locked(transaction, who)
    _forget_copies(transaction, who)
    _blank(transaction, col(PersonRow.id) == who.id)
    _forget_clients(transaction, who)
    for column in OWN:
        transaction.run(delete(column.class_).where(column == who.id))
    transaction.run(delete(InvitationRow).where(col(InvitationRow.login) == who.login))
    found = _owned(transaction, who)
    visible = [session_id for session_id, reason in found if reason is None]
    for session_id in visible:
        hidden.hide(transaction, session_id)
    for session_id in (session_id for session_id, reason in found if reason == "batch"):
        hidden.give_up(transaction, session_id)
    return len(visible)


def _owned(transaction: Transaction, who: Who) -> Sequence[tuple[int, str | None]]:
    """A person's sessions, with why they are hidden; nobody else changes them until this transaction ends."""
    owned = select(SessionRow.id, SessionRow.hidden).where(SessionRow.owner_id == who.id).order_by(col(SessionRow.id))
    return [(row[0], row[1]) for row in transaction.run(owned.with_for_update()).all()]


def _locked(transaction: Transaction, who: Who) -> Who:
    """The person as they are now, without offers to them; their row is ours from here on. Raises NotFound."""
    _forget_offers(transaction, person_of(transaction, who.id))
    transaction.run(select(PersonRow.id).where(PersonRow.id == who.id).with_for_update())
    found = person_of(transaction, who.id)
    if found.issuer == DELETED.issuer:
        raise NotFound(f"{who.called} was deleted already.")
    return found


def _blank(transaction: Transaction, which: Any) -> None:
    """Have the rows of people name nobody."""
    for (person,) in transaction.run(select(PersonRow.id).where(which).order_by(col(PersonRow.id))).all():
        blank = {"issuer": DELETED.issuer, "subject": secrets.token_hex(16), "name": DELETED.name, "mail": None}
        transaction.run(update(PersonRow).where(col(PersonRow.id) == person).values(**blank))


def _forget_copies(transaction: Transaction, who: Who) -> None:
    """Blank who came of a file of a session in which the person acted, and is called like them."""
    handles = select(SessionRow.handle).where(
        col(SessionRow.id).in_(select(JournalRow.session_id).where(JournalRow.person_id == who.id))
    )
    issuers = handles.with_only_columns(literal("import:").concat(SessionRow.handle))
    if who.name:
        _blank(transaction, col(PersonRow.issuer).in_(issuers) & (col(PersonRow.name) == who.name))


def _forget_offers(transaction: Transaction, who: Who) -> None:
    names = [name for name in (who.login, who.mail, who.subject) if name]
    taken = select(TakerRow.offer_id).where(TakerRow.person_id == who.id)
    theirs = col(OfferRow.whom).in_([whom(transaction, name) for name in names])
    transaction.run(delete(OfferRow).where(or_(theirs, col(OfferRow.id).in_(taken))))


def _forget_clients(transaction: Transaction, who: Who) -> None:
    """End what clients may do for the person; those go that served nobody else and registered themselves."""
    transaction.run(delete(ClientRow).where(col(ClientRow.service_id) == who.id))
    granted = select(GrantRow.client_id).where(GrantRow.person_id == who.id)
    clients = transaction.run(granted).scalars().all()
    transaction.run(delete(GrantRow).where(col(GrantRow.person_id) == who.id))
    others = select(func.count()).where(GrantRow.client_id == ClientRow.id).correlate(ClientRow).scalar_subquery()
    own = col(ClientRow.id).in_(clients) & (col(ClientRow.kind) == "dynamic") & (others == 0)
    transaction.run(delete(ClientRow).where(own))


def _left(transaction: Transaction, person: int) -> Sequence[tuple[int, str]]:
    owned = select(SessionRow.id, SessionRow.world).where(SessionRow.owner_id == person, SessionRow.hidden == "erased")
    return [(row[0], row[1]) for row in transaction.run(owned.order_by(col(SessionRow.id))).all()]
