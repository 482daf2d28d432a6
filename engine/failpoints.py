"""Named points of the one path at which a test may end the process as a power cut would.

Nothing happens at any of them unless `TURNKEEPER_FAILPOINT` was `name@n` when
this module was imported: then the n-th reach of that point is the process's end.
"""

import os
import signal
from collections.abc import Iterator
from itertools import count

VARIABLE = "TURNKEEPER_FAILPOINT"

NAMES = frozenset(
    {
        "after_begin",
        "after_guards",
        "after_method",
        "timer_applied",
        "before_journal",
        "after_journal",
        "mid_group",
        "before_commit",
        "after_commit",
        "before_reply",
        "mid_batch",
        "part_begun",
        "part_mid",
        "part_written",
        "hook_called",
        "news_finished",
        "webhook_claimed",
        "webhook_sent",
        "webhook_noted",
        "effect_claimed",
        "effect_done",
        "effect_reported",
    }
)

_armed: tuple[str, int, Iterator[int]] | None = None


def arm(wanted: str | None) -> None:
    """Choose where this process ends, as `name@n`; None means nowhere. Raises ValueError."""
    global _armed
    if wanted is None:
        _armed = None
        return
    name, _, nth = wanted.partition("@")
    if name not in NAMES or not nth.isdecimal() or int(nth) < 1:
        raise ValueError(f"{VARIABLE}={wanted!r}: say name@n, such as before_commit@3, with one of {sorted(NAMES)}")
    _armed = (name, int(nth), count(1))


def reach(name: str) -> None:
    """Say that this point was reached."""
    if _armed is not None and _armed[0] == name and next(_armed[2]) == _armed[1]:
        os.kill(os.getpid(), signal.SIGKILL)


arm(os.environ.get(VARIABLE))
