"""Every exception of the engine; only the adapters turn them into wire errors.

EngineError
├── DefinitionError       a world is declared wrong: raised at import or when worlds are loaded
│   └── ChartError        its states and the ways between them are
├── InvalidArguments      the arguments of a call do not fit
├── NotFound              no such world, session, action, resource or revision *for this principal*
├── Unauthenticated       nobody is logged in
├── Forbidden             a scope or role is missing that could be granted
├── Refused               a rule said no; the rule's name is the code
│   ├── Conflict          the session has moved on since the caller last saw it
│   └── LimitExceeded     there is more of something than the server allows
├── CannotAsk             the connection lacks a capability that an action needs
└── StoreError            the database cannot be used
    ├── Busy              it is in use by others for too long
    ├── Disconnected      it cannot be reached
    ├── BadStatement      it does not take a statement, today or tomorrow: whoever wrote that is to mend it
    └── OutcomeUnknown    a commit was cut off, and nobody can say whether it took effect
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


class EngineError(Exception):
    """Something the engine refuses to do."""

    code: ClassVar[str] = "error"

    def __init__(self, reason: str | None = None, *, hint: str | None = None, path: str = "$") -> None:
        self.reason = reason or (type(self).__doc__ or "").strip()
        self.hint = hint
        self.path = path
        super().__init__(self.reason if hint is None else f"{self.reason} {hint}")

    @property
    def rule(self) -> str:
        """The stable name of what went wrong."""
        return self.code


class DefinitionError(EngineError):
    """A world is declared wrong."""

    code = "definition"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a chart, and what would be right. `line` is `file:line`, if that is known."""

    line: str | None
    what: str
    remedy: str


class ChartError(DefinitionError):
    """The states of a world, and the ways between them, are declared wrong: `faults` are all that was found."""

    code = "chart"

    def __init__(self, world: str, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"{world}: {'; '.join(f'{fault.what} ({fault.remedy})' for fault in self.faults)}.")


class InvalidArguments(EngineError):
    """The arguments do not fit."""

    code = "invalid_arguments"


class NotFound(EngineError):
    """There is no such thing here."""

    code = "not_found"


class Unauthenticated(EngineError):
    """Log in first."""

    code = "unauthenticated"


class Forbidden(EngineError):
    """A permission is missing."""

    code = "forbidden"

    def __init__(self, reason: str, *, scope: str | None = None, hint: str | None = None) -> None:
        super().__init__(reason, hint=hint)
        self.scope = scope


class Refused(EngineError):
    """A rule said no. `rule` is its stable name, `reason` what a person or model can act on."""

    code = "refused"

    def __init__(self, rule: str, reason: str, *, hint: str | None = None, path: str = "$") -> None:
        super().__init__(reason, hint=hint, path=path)
        self._rule = rule

    @property
    def rule(self) -> str:
        return self._rule


class Conflict(Refused):
    """The session is at `revision` now, not where the caller thought."""

    code = "stale_revision"

    def __init__(self, reason: str, *, revision: int, hint: str | None = None) -> None:
        super().__init__("stale_revision", reason, hint=hint)
        self.revision = revision


class LimitExceeded(Refused):
    """There is more of something than allowed: `received` where at most `allowed` is taken."""

    code = "limit_exceeded"

    def __init__(
        self, rule: str, reason: str, *, received: float, allowed: float, hint: str | None = None, path: str = "$"
    ) -> None:
        super().__init__(rule, reason, hint=hint, path=path)
        self.received = received
        self.allowed = allowed


class CannotAsk(EngineError):
    """The client did not declare `capability`, and the action cannot do without."""

    code = "cannot_ask"

    def __init__(self, reason: str, *, capability: dict[str, object]) -> None:
        super().__init__(reason)
        self.capability = capability


class StoreError(EngineError):
    """The database cannot be used."""

    code = "store"


class Busy(StoreError):
    """The database is in use by others. Try again in `retry_after` seconds."""

    code = "busy"

    def __init__(self, reason: str | None = None, *, hint: str | None = None, retry_after: float = 1.0) -> None:
        super().__init__(reason, hint=hint or f"Try again in {retry_after:g} s.")
        self.retry_after = retry_after


class Disconnected(StoreError):
    """The database cannot be reached."""

    code = "disconnected"


class BadStatement(StoreError):
    """The database does not take a statement."""

    code = "bad_statement"


class OutcomeUnknown(StoreError):
    """Whether it was done cannot be told."""

    code = "outcome_unknown"

    def __init__(self, reason: str) -> None:
        super().__init__(
            reason,
            hint="Send the same call with the same key again: it is done once, whatever became of this one. Without a"
            " key, look at the session first.",
        )
