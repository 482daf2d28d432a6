"""What the log says: a line for each action, and what went wrong. Never arguments, answers or keys.

A message of an exception may quote what it was about, so errors are logged as
their types and where they came from.
"""

import contextlib
import logging
import re
import secrets
import time
import traceback
from collections.abc import Callable, Iterator
from typing import TypeVar

from engine.errors import Busy, EngineError, NotFound, StoreError
from engine.types import Change, Outcome

T = TypeVar("T")
logger = logging.getLogger(__name__)

_HANDLE = re.compile(r"ses_[A-Za-z0-9_-]{16,40}")
_RULE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_NUMBER = "__turnkeeper_number__"


class Line:
    """The log's line of one action, from when it began. `session` is what the caller named."""

    __slots__ = ("_action", "_began", "_session")

    def __init__(self, action: str, session: str | None = None) -> None:
        self._action = action
        self._session = session
        self._began = time.perf_counter()

    def around(self, work: Callable[[], T]) -> T:
        """What `work` gives, after its line is logged."""
        try:
            outcome = work()
        except BaseException as error:
            self.failed(error)
            raise
        self.done(outcome)
        return outcome

    def done(self, outcome: object) -> None:
        """Log that it was accepted."""
        if not logger.isEnabledFor(logging.INFO):
            return
        if isinstance(outcome, Change):
            self._log("session=%s revision=%d outcome=done", outcome.session, outcome.revision)
        elif not isinstance(outcome, Outcome):
            self._log("session=%s outcome=done", shown(self._session))
        else:
            how = "done" if outcome.replayed is None else "replayed"
            self._log("session=%s revision=%d outcome=%s", outcome.session, outcome.revision, how)

    def failed(self, error: BaseException) -> None:
        """Log that it was refused, or that it failed and under which number the log explains that."""
        if not logger.isEnabledFor(logging.INFO):
            return
        session = "-" if isinstance(error, NotFound) else shown(self._session)
        if isinstance(error, EngineError) and (isinstance(error, Busy) or not isinstance(error, StoreError)):
            rule = error.rule if _RULE.fullmatch(error.rule) else error.code
            self._log("session=%s outcome=refused rule=%s", session, rule)
        else:
            self._log("session=%s outcome=failed error=%s", session, explained(error))

    def _log(self, text: str, *values: object) -> None:
        took = (time.perf_counter() - self._began) * 1000
        logger.info(f"action=%s {text} ms=%.1f", self._action, *values, took)


def shown(session: str | None) -> str:
    """A session's handle, if it has the form of one: what else a caller may have sent is not for the log."""
    return "main" if session is None else session if _HANDLE.fullmatch(session) else "-"


def explained(error: BaseException) -> str:
    """The number under which the log explains an error; the first time, it does."""
    number = getattr(error, _NUMBER, None)
    if isinstance(number, str):
        return number
    number = secrets.token_hex(4)
    with contextlib.suppress(Exception):  # an error that takes no attributes gets another number the next time
        setattr(error, _NUMBER, number)
    logger.error("error %s: %s", number, trace(error))
    return number


def trace(error: BaseException) -> str:
    """What kind of error, where from and what caused it, without its message."""
    return "\ncaused by ".join(_traced(error))


class LogFormatter(logging.Formatter):
    """Formats records of whatever library without the messages of their exceptions."""

    def formatException(self, exc_info: object) -> str:
        """The exception's types and where it came from."""
        error = exc_info[1] if isinstance(exc_info, tuple) else None
        return "" if error is None else trace(error)


def _traced(error: BaseException) -> Iterator[str]:
    seen: set[int] = set()
    found: list[BaseException] = [error]
    while found:
        cause = found.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        frames = "".join(traceback.format_tb(cause.__traceback__)).rstrip()
        yield f"{_named(cause)}\n{frames}" if frames else _named(cause)
        inner = cause.exceptions if isinstance(cause, BaseExceptionGroup) else ()
        beneath = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
        found += [*inner, *([] if beneath is None else [beneath])]


def _named(error: BaseException) -> str:
    """The error's type, with the database's own code for it or the rule it broke."""
    code = getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None)
    if isinstance(error, EngineError) and _RULE.fullmatch(error.rule):
        code = error.rule
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    return name if code is None else f"{name} ({code})"
