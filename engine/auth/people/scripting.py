"""Personal access tokens: what scripts use instead of a browser, made and revoked at the command line."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, delete, select

from engine.auth.people.naming import Who, insist_on_person, person_of
from engine.auth.tokens import TokenKind, hashed, mint
from engine.definition import Definition
from engine.errors import InvalidArguments, NotFound, Refused
from engine.store.access import TokenRow
from engine.store.records import Transaction

NAME_LIMIT = 100
"""Characters of a token's or client's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Personal:
    """A personal access token that is wanted: what it is called, whose it is, what it opens and how long."""

    name: str
    who: Who
    scopes: tuple[str, ...]
    resource: str
    expires_at: datetime | None


def make(transaction: Transaction, wanted: Personal) -> str:
    """A new token: only here it can be read. Raises Refused for a name that the person uses for another."""
    insist_on_person(wanted.who)
    transaction.lock_person(wanted.who.id)
    if _hashes(transaction, wanted.name, wanted.who):
        raise Refused(
            "token_exists",
            f"{wanted.who.called} has a token {wanted.name!r} already.",
            hint="Choose another name, or revoke that one.",
        )
    token = mint(TokenKind.PERSONAL)
    expires_at = wanted.expires_at
    row = TokenRow(
        hash=hashed(token),
        person_id=wanted.who.id,
        name=wanted.name,
        resource=wanted.resource,
        scope=" ".join(wanted.scopes),
        created_at=transaction.at,
        expires_at=None if expires_at is None else expires_at.isoformat(timespec="microseconds"),
    )
    transaction.db.add(row)
    transaction.db.flush()
    return token


def listed(transaction: Transaction, who: Who | None = None) -> Sequence[tuple[TokenRow, Who]]:
    """The personal tokens there are, or those of a person, with whose each is."""
    wanted = select(TokenRow).where(col(TokenRow.grant_id).is_(None)).order_by(TokenRow.created_at, TokenRow.hash)
    if who is not None:
        wanted = wanted.where(TokenRow.person_id == who.id)
    return [(row, person_of(transaction, row.person_id)) for row in transaction.db.exec(wanted).all()]


def revoke(transaction: Transaction, name: str, who: Who) -> None:
    """End a person's token, for good and at once. Raises NotFound."""
    hashes = _hashes(transaction, name, who)
    if not hashes:
        raise NotFound(
            f"{who.called} has no token {name!r}.", hint="`turnkeeper token list` names them, and --for whose it is."
        )
    transaction.run(delete(TokenRow).where(col(TokenRow.hash).in_(hashes)))


def checked_name(name: str) -> str:
    """A name that is one line and not too long. Raises InvalidArguments."""
    if not (1 <= len(name.strip()) <= NAME_LIMIT and name.isprintable()):
        raise InvalidArguments(f"A name has 1 to {NAME_LIMIT} printable characters; received {name[:40]!r}.")
    return name.strip()


def checked_scopes(given: Sequence[str], worlds: Collection[Definition]) -> tuple[str, ...]:
    """The scopes that were asked for, each once, or reading and acting in the worlds. Raises InvalidArguments."""
    usual = [scope for world in worlds for scope in (world.read_scope, world.write_scope)]
    special = [world.scope_of(action) for world in worlds for action in world.actions.values()]
    wanted = [scope for text in given for scope in text.replace(",", " ").split()]
    if unknown := [scope for scope in wanted if scope not in (*usual, *special)]:
        known = ", ".join(dict.fromkeys((*usual, *special)))
        raise InvalidArguments(f"No world here has the scope {unknown[0]!r}.", hint=f"There are: {known}.")
    return tuple(dict.fromkeys(wanted or usual))


def _hashes(transaction: Transaction, name: str, who: Who) -> Sequence[str]:
    named = select(TokenRow.hash).where(TokenRow.name == name, TokenRow.person_id == who.id)
    return transaction.db.exec(named.where(col(TokenRow.grant_id).is_(None))).all()
