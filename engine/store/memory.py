"""What a process keeps in memory of sessions: what was worked out at a revision, for who asks next. Never the truth."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was worked out of a session at a revision, which was made `at` a time; `size` in bytes."""

    revision: int
    at: str
    value: Any
    size: int


@dataclass(frozen=True, slots=True)
class Address:
    """What something is remembered of: a session, by handle and internal id, the rows it showed, and what is asked."""

    handle: str
    session_id: int
    rows_at: int
    key: Hashable


class Memory:
    """What is remembered, `most` bytes of it: of each address the newest; what nobody asked for longest goes first."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.size = 0
        self._kept: OrderedDict[Address, Remembered] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, address: Address) -> Remembered | None:
        """What is remembered there."""
        with self._lock:
            if (found := self._kept.get(address)) is not None:
                self._kept.move_to_end(address)
            return found

    def put(self, address: Address, new: Remembered) -> None:
        """Remember something, unless it is too large, or something newer is known."""
        with self._lock:
            known = self._kept.get(address)
            if new.size > self.most or (known is not None and known.revision > new.revision):
                return
            self._drop(address)
            while self.size + new.size > self.most:
                self._drop(next(iter(self._kept)))
            self._kept[address] = new
            self.size += new.size

    def forget(self, handle: str) -> None:
        """Remember nothing more of a session."""
        with self._lock:
            for address in [address for address in self._kept if address.handle == handle]:
                self._drop(address)

    def _drop(self, address: Address) -> None:
        if (gone := self._kept.pop(address, None)) is not None:
            self.size -= gone.size
