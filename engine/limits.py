"""How much of anything there may be: each limit a setting, and a named error where it is exceeded."""

import math
from dataclasses import dataclass, replace

from engine.errors import LimitExceeded


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits in force. Sizes are bytes of UTF-8 JSON."""

    arguments: int = 1024 * 1024
    """Of an action's arguments."""
    result: int = 1024 * 1024
    """Of an action's answer, its value and its content each, and of a page of what is read."""
    data: int = 256 * 1024
    """Of a session's document."""
    rows: int = 50_000
    """Rows that one transaction may touch."""
    at_once: int = 1_000
    """Rows and journal entries that undo, redo or a fork writes in one transaction; more are written ahead."""
    snapshot: int = 500
    """Changes from one snapshot of a session's rows to the next, at least."""
    seconds: float = 5.0
    """An action's time."""
    waiting: int = 64
    """Callers that may wait for one session."""
    sessions: int = 1_000
    """Sessions that a principal may own."""
    stored: int = 256 * 1024 * 1024
    """Of a session's journal and rows together."""
    timers: int = 64
    """Timers that a session may have at once."""
    effects: int = 32
    """That one change may ask for."""
    memory: int = 256 * 1024 * 1024
    """Of what a process remembers of sessions, for who asks next."""

    @property
    def unbounded(self) -> "Limits":
        """The same without a limit of time, for what takes its time and holds nobody up."""
        return replace(self, seconds=math.inf)


DEFAULT = Limits()


def size(text: str) -> int:
    """The bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def check_arguments(text: str, limits: Limits) -> None:
    """Insist that arguments are not too large. Raises LimitExceeded."""
    if (received := size(text)) > limits.arguments:
        raise LimitExceeded(
            "arguments_too_large",
            f"The arguments are {received:,} bytes long; at most {limits.arguments:,} are taken.",
            hint="Send less at a time.",
            received=received,
            allowed=limits.arguments,
        )


def check_result(value: str, content: str, limits: Limits) -> None:
    """Insist that an answer is not too large, as a value and as content. Raises LimitExceeded."""
    if (received := max(size(value), size(content))) > limits.result:
        raise LimitExceeded(
            "result_too_large",
            f"The answer would be {received:,} bytes long; at most {limits.result:,} are given.",
            hint="Ask for less at a time, a page say, if the action takes such an argument. Nothing was changed.",
            received=received,
            allowed=limits.result,
        )


def check_data(text: str, limits: Limits) -> None:
    """Insist that a session's document is not too large. Raises LimitExceeded."""
    if (received := size(text)) > limits.data:
        raise LimitExceeded(
            "data_too_large",
            f"The session's document would be {received:,} bytes long; at most {limits.data:,} are kept.",
            hint="Keep less in it; what there are many of belongs into rows. Nothing was changed.",
            received=received,
            allowed=limits.data,
        )


def check_rows(received: int, limits: Limits) -> None:
    """Insist that not too many rows are touched. Raises LimitExceeded."""
    if received > limits.rows:
        raise LimitExceeded(
            "too_many_rows",
            f"This touches more than {limits.rows:,} rows, which is as many as one call may.",
            hint="Do it in several calls, or read fewer rows: where(…) narrows them, count(…) loads none.",
            received=received,
            allowed=limits.rows,
        )


def check_sessions(owned: int, limits: Limits) -> None:
    """Insist that there is room for another session. Raises LimitExceeded."""
    if owned >= limits.sessions:
        raise LimitExceeded(
            "too_many_sessions",
            f"The owner has {owned:,} sessions; at most {limits.sessions:,} are kept.",
            hint="End or erase some that are not needed: list_sessions names them, end_session ends them.",
            received=owned,
            allowed=limits.sessions,
        )


def check_effects(received: int, limits: Limits) -> None:
    """Insist that a change does not ask for too many effects. Raises LimitExceeded."""
    if received > limits.effects:
        raise LimitExceeded(
            "too_many_effects",
            f"This asks for more than {limits.effects} effects, which is as many as one change may.",
            hint="Do less in one call, or have one effect do it for many. Nothing was changed.",
            received=received,
            allowed=limits.effects,
        )


def check_stored(received: int, limits: Limits) -> None:
    """Insist that a session's journal and rows are not too large. Raises LimitExceeded."""
    if received > limits.stored:
        raise LimitExceeded(
            "session_full",
            f"The session's history and rows would be {received:,} bytes; at most {limits.stored:,} are kept.",
            hint="It can still be read, undone, forked and shared. Start another one, or end or erase this one.",
            received=received,
            allowed=limits.stored,
        )


def check_timers(received: int, text: str, limits: Limits) -> None:
    """Insist that a session does not wait for too much: so many timers, which are that text. Raises LimitExceeded."""
    if (length := size(text)) > limits.data:
        raise LimitExceeded(
            "timers_too_large",
            f"The session's timers would be {length:,} bytes long with their arguments; at most {limits.data:,} are"
            " kept.",
            hint="Set them with short arguments, and keep the rest in the session. Nothing was changed.",
            received=length,
            allowed=limits.data,
        )
    if received > limits.timers:
        raise LimitExceeded(
            "too_many_timers",
            f"The session would have {received:,} timers; at most {limits.timers:,} are kept.",
            hint="Let some come to their end, or cancel them: self.cancel_timers(…) in an action. Nothing was changed.",
            received=received,
            allowed=limits.timers,
        )
