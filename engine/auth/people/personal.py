"""What is held about a person, and writing all of it as files."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlmodel import SQLModel, col, or_, select

from engine.auth.people.naming import Who
from engine.dispatch import Dispatcher
from engine.errors import Refused, StoreError
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
from engine.store.tables import ConnectionRow, JournalRow, SessionRow, ShareRow, StartKeyRow
from engine.types import OPERATOR, Json

PAGE = 500
"""Journal entries that are read at once."""


@dataclass(frozen=True, slots=True)
class Written:
    """What an export wrote: its folder, the files in it, and how many sessions and entries that was."""

    folder: Path
    files: tuple[Path, ...]
    sessions: int
    entries: int


def held(transaction: Transaction, who: Who) -> dict[str, Json]:
    """What is held about a person beside sessions and journals, in a transaction that may write.

    Hashes of what opens doors are left out.
    """
    return {
        "person": {"issuer": who.issuer, "subject": who.subject, "name": who.name, "mail": who.mail},
        "account": _rows(transaction, select(AccountRow).where(AccountRow.person_id == who.id), "login created_at"),
        "browsers": _of(transaction, BrowserRow, who, "created_at expires_at"),
        "grants": [
            {"client": {"id": client.id, "name": client.name, "uri": client.uri}, **_picked(grant, _GRANT)}
            for grant, client in transaction.db.exec(
                select(GrantRow, ClientRow)
                .join(ClientRow)
                .where(GrantRow.person_id == who.id)
                .order_by(col(GrantRow.id))
            )
        ],
        "tokens": _of(transaction, TokenRow, who, "name resource scope created_at expires_at"),
        "acts_for_clients": _rows(
            transaction, select(ClientRow).where(ClientRow.service_id == who.id), "id name created_at used_at"
        ),
        "invitations": _rows(
            transaction,
            select(InvitationRow).where(
                or_(col(InvitationRow.person_id) == who.id, col(InvitationRow.login) == who.login)
            ),
            "purpose login expires_at",
        ),
        "connections": _of(transaction, ConnectionRow, who, "endpoint parameters used_at"),
        "keys_of_starts": _of(transaction, StartKeyRow, who, "key request"),
        "shared_with_them": _shares(transaction, col(ShareRow.person_id) == who.id),
        "shared_by_them": _shares(transaction, col(SessionRow.owner_id) == who.id, named=True),
        "offered_to_them": _offers(transaction, who),
    }


_GRANT = "resource scope redirect_uri created_at used_at ended_at"


def entries_elsewhere(transaction: Transaction, who: Who) -> Iterator[dict[str, Json]]:
    """What a person did in sessions of others, oldest first for each."""
    entry: Any = JournalRow
    names = (entry.revision, entry.at, entry.action, entry.arguments, entry.result, entry.state, entry.key)
    wanted = (
        select(col(SessionRow.handle).label("session"), SessionRow.world)
        .add_columns(*names)
        .join(SessionRow, col(SessionRow.id) == entry.session_id)
        .where(entry.person_id == who.id, col(SessionRow.owner_id) != who.id, col(SessionRow.hidden).is_(None))
        .order_by(entry.session_id, entry.revision)
    )
    for row in transaction.run(wanted, page=PAGE).mappings():
        yield {**row, "arguments": json.loads(row["arguments"]), "result": json.loads(row["result"])["value"]}


def export(dispatcher: Dispatcher, who: Who, folder: Path) -> Written:
    """Write everything that is held about a person into a new folder. Raises Refused, StoreError."""
    _make(folder)
    person, entries = folder / "person.json", folder / "entries.jsonl"
    _write(person, [json.dumps(dispatcher.store.write(lambda tx: held(tx, who)), **_INDENTED)])
    with dispatcher.store.snapshot(unbounded=True) as transaction:
        found = entries_elsewhere(transaction, who)
        count = _write(entries, (json.dumps(entry, ensure_ascii=False) for entry in found))
    sessions = dispatcher.store.read(lambda tx: _sessions(tx, who))
    _make(folder / "sessions")
    files = [_session(dispatcher, folder / "sessions", handle, world) for handle, world in sessions]
    return Written(folder, (person, entries, *files), len(sessions), count)


_INDENTED: Mapping[str, Any] = {"indent": 2, "ensure_ascii": False}


def _session(dispatcher: Dispatcher, folder: Path, handle: str, world: str) -> Path:
    """A session as a session file; where its world is not installed, row and journal as the database has them."""
    if dispatcher.registry.definition(world) is not None:
        file = folder / f"{handle}.db"
        dispatcher.export(OPERATOR, handle, file)
        file.chmod(0o600)
        return file
    with dispatcher.store.snapshot(unbounded=True) as transaction:
        row = transaction.db.exec(select(SessionRow).where(SessionRow.handle == handle)).one()
        entries = transaction.db.exec(
            select(JournalRow).where(JournalRow.session_id == row.id).order_by(col(JournalRow.revision))
        ).all()
        plain = {"session": row.model_dump(), "journal": [entry.model_dump() for entry in entries]}
    file = folder / f"{handle}.json"
    _write(file, [json.dumps(plain, **_INDENTED)])
    return file


def _sessions(transaction: Transaction, who: Who) -> list[tuple[str, str]]:
    owned = select(SessionRow.handle, SessionRow.world).where(SessionRow.owner_id == who.id)
    return list(transaction.db.exec(owned.where(col(SessionRow.hidden).is_(None)).order_by(col(SessionRow.id))).all())


def _of(transaction: Transaction, model: Any, who: Who, names: str) -> list[dict[str, Json]]:
    return _rows(transaction, select(model).where(model.person_id == who.id), names)


def _rows(transaction: Transaction, wanted: Any, names: str) -> list[dict[str, Json]]:
    return [_picked(row, names) for row in transaction.db.exec(wanted)]


def _picked(row: SQLModel, names: str) -> dict[str, Json]:
    return {name: getattr(row, name) for name in names.split()}


def _shares(transaction: Transaction, which: Any, *, named: bool = False) -> list[dict[str, Json]]:
    """Shares, with the session of each; and with whom, where it was the person who shared."""
    wanted = (
        select(SessionRow.handle, SessionRow.world, ShareRow.role, ShareRow.person_id)
        .join(SessionRow, col(SessionRow.id) == col(ShareRow.session_id))
        .where(which, col(SessionRow.hidden).is_(None))
        .order_by(col(SessionRow.id), col(ShareRow.person_id))
    )
    return [
        {"session": handle, "world": world, "role": role} | ({"with": transaction.person_name(person)} if named else {})
        for handle, world, role, person in transaction.db.exec(wanted).all()
    ]


def _offers(transaction: Transaction, who: Who) -> list[dict[str, Json]]:
    """What somebody offered to a name of the person's; of which session is told by the share that comes of it."""
    names = [name for name in (who.login, who.mail) if name]
    theirs = col(OfferRow.whom).in_([whom(transaction, name) for name in names])
    taken = col(OfferRow.id).in_(select(TakerRow.offer_id).where(TakerRow.person_id == who.id))
    return _rows(
        transaction, select(OfferRow).where(or_(theirs, taken)).order_by(OfferRow.created_at), "role created_at"
    )


def _make(folder: Path) -> None:
    """Make a folder that only its owner may look into; one that is there is taken if it is empty."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise Refused("folder_not_empty", f"There is something in {folder} already.", hint="Name a new folder.")
    except OSError as error:
        raise _unwritable(folder, error) from error


def _write(path: Path, lines: Iterable[str]) -> int:
    """Write a file that only its owner may read; how many lines it has been given."""
    written = 0
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            for line in lines:
                file.write(f"{line}\n")
                written += 1
    except OSError as error:
        raise _unwritable(path, error) from error
    return written


def _unwritable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path} cannot be written: {error.strerror}.", hint="Name a folder with room that is yours.")
