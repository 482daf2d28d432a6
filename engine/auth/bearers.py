"""Who a bearer token stands for, looked up at most once a second in each process."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from engine.auth.reach import Reach
from engine.types import Principal

_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Bearer:
    """What an access token says: who acts, and how far."""

    principal: Principal
    reach: Reach


Verify = Callable[[str], Bearer | None]
"""What the database says of a token now."""


class Bearers:
    """The tokens that were looked at of late. Called on the event loop's thread alone, but for `verify`."""

    def __init__(self, verify: Verify, belief: timedelta) -> None:
        self.verify = verify
        self._belief = belief.total_seconds()
        self._known: OrderedDict[str, tuple[float, Bearer | None]] = OrderedDict()

    def fresh(self, token: str) -> tuple[Bearer | None] | None:
        """What is known of a token, in a tuple; None if the database has to be asked."""
        found = self._known.get(token)
        if found is None or found[0] <= time.monotonic():
            return None
        return (found[1],)

    def learn(self, token: str, bearer: Bearer | None) -> None:
        """Keep what the database said of a token."""
        self._known[token] = (time.monotonic() + self._belief, bearer)
        self._known.move_to_end(token)
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
