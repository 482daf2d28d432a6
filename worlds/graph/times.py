"""The two times of a fact, as callers give them: which revision, or when, it was recorded; when it held."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic import Field as Limit

from engine import World
from worlds.graph.view import View, instant

_DATE = re.compile(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?", re.ASCII)
_REVISION = re.compile(r"\d{1,15}", re.ASCII)
NOW = "now"
_RIGHT = "give a year, month or day such as 2026-05-03, or a time such as 2026-05-03T12:00:00Z"


def moment(text: str) -> str:
    """A year, month, day or ISO 8601 time as facts have it: the first instant of it, UTC. Raises ValueError."""
    try:
        return instant(_parsed(text.strip()).astimezone(UTC))
    except (ValueError, OverflowError):  # also where an offset leads out of the years 1 to 9999
        raise ValueError(f"{text[:40]!r} is no time; {_RIGHT}") from None


def short(instant: str) -> str:
    """A time as facts have it, without what is zero of it."""
    return instant.removesuffix("+00:00").removesuffix(".000000").removesuffix("T00:00:00")


def _parsed(text: str) -> datetime:
    if found := _DATE.fullmatch(text):
        year, month, day = (int(part or 1) for part in found.groups())
        return datetime(year, month, day, tzinfo=UTC)
    given = datetime.fromisoformat(text)
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def recorded(as_of: int | str | None) -> int | str | None:
    """A revision's number, or a time as facts have it. Raises ValueError."""
    if isinstance(as_of, str):
        try:
            return moment(as_of)
        except ValueError as no:
            raise ValueError(f"{no}; or a revision, which is a number without quotes") from None
    if as_of is not None and as_of < 1:
        raise ValueError(f"revisions are numbered from 1 on; {_RIGHT}, or a revision")
    return as_of


def _in_address(as_of: str) -> int | str | None:
    return None if as_of == NOW else int(as_of) if _REVISION.fullmatch(as_of) else as_of


Moment = Annotated[str, AfterValidator(moment)]
AsOf = Annotated[
    int | str | None,
    AfterValidator(recorded),
    Limit(
        description="read what the graph was told up to then: a revision's number, or a date or time"
        " (2026-05-03, or ISO 8601); without, up to now"
    ),
]
AsOfText = Annotated[
    int | str | None,
    BeforeValidator(lambda text: _in_address(text) if isinstance(text, str) else text),
    AfterValidator(recorded),
]
"""The same within an address: digits are a revision's number, and `now` is what stands."""
ValidAt = Annotated[
    Moment | None,
    Limit(
        description="read what held then: a date or time (2026-05-03, which is its first instant, or ISO 8601);"
        " without, what holds now"
    ),
]


def view_of(graph: World, as_of: int | str | None, valid_at: str | None) -> View:
    """The graph as it was recorded at a revision or time, and as it held at a time. Raises Refused."""
    then = datetime.fromisoformat(as_of) if isinstance(as_of, str) else as_of
    return View(graph, as_of=None if then is None else graph.revision_of(then), valid_at=valid_at)
