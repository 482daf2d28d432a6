"""How much of anything there may be: each limit a setting, and a named error where it is exceeded."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits in force. Sizes are bytes of UTF-8 JSON."""

    arguments: int = 1024 * 1024
    """Of an action's arguments."""
    result: int = 1024 * 1024
    """Of an action's answer, and of a page of what is read."""
    data: int = 256 * 1024
    """Of a session's document."""
    rows: int = 50_000
    """Rows that one transaction may touch."""
    seconds: float = 5.0
    """An action's time."""
    waiting: int = 64
    """Callers that may wait for one session."""
    sessions: int = 1_000
    """Sessions that a principal may own."""
    stored: int = 256 * 1024 * 1024
    """Of a session's journal and rows together."""


DEFAULT = Limits()
