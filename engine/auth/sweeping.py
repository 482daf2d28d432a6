"""Tidying up what opens no door any more: expired tokens, browsers, links, and attempts long past."""

from collections.abc import Callable

from sqlmodel import col, delete, select

from engine.auth.granting import grants
from engine.auth.people import throttling
from engine.store.access import BrowserRow, InvitationRow, SpentRow
from engine.store.records import Transaction
from engine.store.stores import Store

AT_ONCE = 500
"""Rows of a kind in one transaction: nobody waits long for it."""


def sweep_access(store: Store, go_on: Callable[[], bool]) -> None:
    """Delete what expired, a little at a time, for as long as `go_on` says so."""
    while go_on() and store.write(_a_few):
        pass


def _a_few(transaction: Transaction) -> int:
    deleted = grants.sweep(transaction, AT_ONCE)
    throttling.sweep(transaction, AT_ONCE)
    for row in (BrowserRow, InvitationRow, SpentRow):
        over = select(row.hash).where(col(row.expires_at) <= transaction.at).limit(AT_ONCE)
        deleted += transaction.run(delete(row).where(col(row.hash).in_(over))).rowcount
    return deleted
