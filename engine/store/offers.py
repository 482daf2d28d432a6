"""Offers: roles in sessions for whoever goes by a name, and who that is by now.

A name with an @ is a mail address and means who was found to have it; another
is the name of an account. Of either, only a hash under a secret of the
installation is kept, so that the table tells nobody whom others know.
"""

import hmac
import secrets
from collections.abc import Iterable, Sequence
from hashlib import sha256

from sqlalchemy import func
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, delete, insert, select, update

from engine.errors import LimitExceeded, NotFound
from engine.store.access import AccountRow, OfferRow, TakerRow
from engine.store.records import Transaction
from engine.store.tables import PersonRow, SessionRow, ShareRow
from engine.types import DELETED, LOCAL, SEATS, Principal, Role

MOST = 1_000
"""Names that a session is shared with at most."""


def whom(transaction: Transaction, name: str) -> str:
    """What the tables keep of a name."""
    kind = "mail" if "@" in name else "account"
    key = bytes.fromhex(transaction.secret("offers", lasting=True))
    return hmac.new(key, f"{kind} {_plain(name)}".encode(), sha256).hexdigest()


def offer_to(transaction: Transaction, session_id: int, name: str) -> str:
    """The offer of a session to a name; a new one says nothing yet. Raises LimitExceeded."""
    wanted = whom(transaction, name)
    found = select(OfferRow.id).where(OfferRow.session_id == session_id, OfferRow.whom == wanted)
    if (offer := transaction.db.exec(found).first()) is not None:
        return offer
    offers = transaction.db.exec(select(func.count()).where(OfferRow.session_id == session_id)).one()
    if offers >= MOST:
        raise LimitExceeded(
            "too_many_shares",
            f"A session is shared with {MOST:,} names at most.",
            received=offers + 1,
            allowed=MOST,
            hint="Fork it, and share the fork.",
        )
    made = {"id": f"off_{secrets.token_urlsafe(12)}", "session_id": session_id, "whom": wanted}
    statement = (sqlite if transaction.dialect == "sqlite" else postgresql).insert(OfferRow)
    transaction.run(statement.values(**made, created_at=transaction.at).on_conflict_do_nothing())
    return transaction.db.exec(found).one()


def known_as(transaction: Transaction, name: str, by: Principal) -> Sequence[int]:
    """Who goes by a name now. By the subject they sign in with, too, where that says enough to whom shares.

    A subject is unique for an issuer alone, so it means people of one's own. The person at this machine knows them all.
    """
    plain = _plain(name)
    if "@" in name:
        known = select(PersonRow.id).where(func.lower(PersonRow.mail) == plain).order_by(col(PersonRow.id))
    else:
        known = select(AccountRow.person_id).where(AccountRow.login == plain)
    if found := transaction.db.exec(known).all():
        return [person for person in found if person is not None]
    is_local = (by.issuer, by.subject) == (LOCAL.issuer, LOCAL.subject)
    nobody = [(seat.issuer, seat.subject) for seat in SEATS]
    there = [row for row in transaction.people(name) if row[1] != DELETED.issuer and row[1:3] not in nobody]
    people = [row for row in there if is_local or row[1] == by.issuer]
    return [people[0][0]] if len(people) == 1 and ("@" not in name or is_local) else []


def say(transaction: Transaction, session_id: int, offer_id: str, role: Role | None) -> Sequence[int]:
    """Have an offer be of a role, or with None withdrawn; who took it up before. Raises NotFound.

    Who signs in meanwhile waits, or is waited for: to be called before it is asked who is known by the name.
    """
    _wait_for(transaction, transaction.db.exec(select(OfferRow.whom).where(OfferRow.id == offer_id)).all())
    changed = update(OfferRow).where(col(OfferRow.id) == offer_id, col(OfferRow.session_id) == session_id)
    if transaction.run(changed.values(role=role)).rowcount != 1:
        raise NotFound(f"There is no offer {offer_id[:60]!r}.", hint="Share the session again.")
    return list(transaction.db.exec(select(TakerRow.person_id).where(TakerRow.offer_id == offer_id)).all())


def take(transaction: Transaction, offer_id: str, people: Iterable[int]) -> None:
    """Note whose shares came of an offer: from now on it is for nobody else."""
    transaction.run(delete(TakerRow).where(col(TakerRow.offer_id) == offer_id))
    if rows := [{"offer_id": offer_id, "person_id": person} for person in people]:
        transaction.run(insert(TakerRow), rows)


def held(role: Role) -> Role:
    """What somebody has of an offer: of one to own, an editor's part until they take the session over."""
    return Role.EDITOR if role is Role.OWNER else role


def is_handed(transaction: Transaction, session_id: int, person_id: int) -> bool:
    """Whether a session was handed over to a person, who did not take it over yet."""
    found = select(TakerRow.person_id).join(OfferRow, col(OfferRow.id) == col(TakerRow.offer_id))
    mine = found.where(OfferRow.session_id == session_id, OfferRow.role == Role.OWNER, TakerRow.person_id == person_id)
    return transaction.db.exec(mine).first() is not None


def handed(transaction: Transaction, person_id: int) -> set[str]:
    """The handles of the sessions that were handed over to a person, who did not take them over yet."""
    found = select(SessionRow.handle).join(OfferRow, col(OfferRow.session_id) == col(SessionRow.id))
    found = found.join(TakerRow, col(TakerRow.offer_id) == col(OfferRow.id))
    mine = found.where(OfferRow.role == Role.OWNER, TakerRow.person_id == person_id, col(SessionRow.hidden).is_(None))
    return set(transaction.db.exec(mine).all())


def withdraw_handing(transaction: Transaction, session_id: int, people: Iterable[int]) -> None:
    """Have a session be handed over to none of these people any more, by whichever name it was."""
    theirs = select(TakerRow.offer_id).where(col(TakerRow.person_id).in_(list(people)))
    handed = update(OfferRow).where(col(OfferRow.session_id) == session_id, col(OfferRow.role) == Role.OWNER)
    transaction.run(handed.where(col(OfferRow.id).in_(theirs)).values(role=Role.EDITOR))


def end_those_of_before(transaction: Transaction, session_id: int) -> None:
    """Have a session's next owner begin anew: handed over to nobody, and without offers that nobody took up."""
    of_session = col(OfferRow.session_id) == session_id
    taken = select(TakerRow.offer_id).where(TakerRow.offer_id == OfferRow.id)
    transaction.run(delete(OfferRow).where(of_session, ~taken.exists()))
    transaction.run(update(OfferRow).where(of_session, col(OfferRow.role) == Role.OWNER).values(role=Role.EDITOR))


def pending(transaction: Transaction, names: Iterable[str]) -> Sequence[tuple[str, int, int, Role]]:
    """What was offered to somebody of these names and nobody took up, as (offer, session id, its owner, role)."""
    kept = [whom(transaction, name) for name in names]
    wanted = col(OfferRow.whom).in_(kept)
    # Whoever shares or erases a session locks it first, then its offers; so they are locked in that order here, too.
    sessions = select(SessionRow.id).where(col(SessionRow.id).in_(select(OfferRow.session_id).where(wanted)))
    transaction.run(sessions.order_by(col(SessionRow.id)).with_for_update(read=True, key_share=True)).all()
    _wait_for(transaction, kept)
    held = select(OfferRow.id).where(wanted).order_by(col(OfferRow.id)).with_for_update()
    offers = transaction.run(held).scalars().all()
    taken = select(TakerRow.offer_id).where(TakerRow.offer_id == OfferRow.id)
    found = transaction.run(
        select(OfferRow.id, SessionRow.id, SessionRow.owner_id, OfferRow.role)
        .join(SessionRow, col(SessionRow.id) == col(OfferRow.session_id))
        .where(col(OfferRow.id).in_(offers), col(OfferRow.role).is_not(None), ~taken.exists())
        .where(col(SessionRow.hidden).is_(None))
        .order_by(col(OfferRow.created_at), col(OfferRow.id))
    )
    return [(offer, session, owner, Role(role)) for offer, session, owner, role in found]


def role_in(transaction: Transaction, session_id: int, person_id: int) -> Role | None:
    """The role that was shared with a person."""
    found = select(ShareRow.role).where(ShareRow.session_id == session_id, ShareRow.person_id == person_id)
    role = transaction.db.exec(found).first()
    return None if role is None else Role(role)


def _wait_for(transaction: Transaction, kept: Iterable[str]) -> None:
    """Wait for others who share with these names, or sign in under them: neither may miss the other.

    Rows alone do not do: an offer that is not committed yet cannot be locked by who signs in.
    """
    if transaction.dialect == "postgresql":
        for one in sorted(kept):
            transaction.run(select(func.pg_advisory_xact_lock(func.hashtextextended(one, 0))))


def _plain(name: str) -> str:
    return name.strip().lower()
