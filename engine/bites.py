"""Long work in short transactions: each writes or deletes for a while, then others get their turn."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Protocol, TypeAlias

from engine.copying import Piece, paced
from engine.store.records import Transaction
from engine.store.stores import Store

Still: TypeAlias = Callable[[Transaction], bool]
"""Whether what was found to be deleted is, at the time of writing."""
SECONDS = 0.01
"""How long one transaction writes pieces before others get their turn."""
MADE = 4
"""Pieces after which who makes them rests."""
READ_AHEAD = 16
"""Pieces that are made before a transaction begins."""


class Write(Protocol):
    """Runs some work in a short transaction, and gives what it gave."""

    def __call__(self, work: Callable[[Transaction], int], /) -> int: ...


def put(write: Write, pieces: Iterable[Piece], told: Callable[[int], Any]) -> None:
    """Write pieces, in as many transactions as it takes; they are made while none is open.

    After each transaction, `told` gets how many pieces it wrote.
    """
    source, waiting = paced(pieces, MADE), deque[Piece]()
    while True:
        waiting.extend(islice(source, READ_AHEAD - len(waiting)))
        if not waiting:
            return
        done = write(lambda transaction: _some(transaction, waiting))
        for _ in range(done):
            waiting.popleft()
        told(done)


def drain(store: Store, delete: Callable[[Transaction], object], still: Still) -> None:
    """Delete until `delete` finds nothing more, each transaction for a while, as long as it is `still` to go."""

    def work(transaction: Transaction) -> bool:
        until = time.perf_counter() + SECONDS
        if not still(transaction):
            return False
        while delete(transaction):
            if time.perf_counter() >= until:
                return True
        return False

    while store.write(work):
        pass


def _some(transaction: Transaction, pieces: Sequence[Piece]) -> int:
    """Write pieces for a while, at least one; how many it were."""
    until = time.perf_counter() + SECONDS
    for done, piece in enumerate(pieces, 1):
        piece(transaction)
        if time.perf_counter() >= until:
            return done
    return len(pieces)
