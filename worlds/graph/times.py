"""The two times of a fact, as callers give them: which revision, or when, it was recorded; when it held."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator
from pydantic import Field as Limit

from engine import World
from worlds.graph.view import View, instant

_DATE = re.compile(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?")


def moment(text: str) -> str:
    """A year, month, day or ISO 8601 time as facts have it: the first instant of it, UTC. Raises ValueError."""
    if found := _DATE.fullmatch(text.strip()):
        year, month, day = (int(part or 1) for part in found.groups())
        return instant(datetime(year, month, day, tzinfo=UTC))
    try:
        given = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is no time; give a date such as 2026-05-03, or 2026-05-03T12:00:00Z") from None
    return instant(given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC))


Moment = Annotated[str, AfterValidator(moment)]
AsOf = Annotated[
    int | None, Limit(ge=1, description="the revision to read the graph as it was recorded at; without, as it is now")
]
ValidAt = Annotated[
    Moment | None, Limit(description="read what held at this date or time (2026-05-03, or ISO 8601); without, now")
]


def view_of(graph: World, as_of: int | None, valid_at: str | None) -> View:
    """The graph as it was recorded at a revision and as it held at a time."""
    return View(graph, as_of=as_of, valid_at=valid_at)
