"""Cursors of pages: where to go on, in the same graph as it was at the first page, with the same question."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from engine import Refused, World
from worlds.graph.times import moment, view_of
from worlds.graph.view import View

LONGEST, MOST = 500, 1 << 31
"""Characters that a cursor has, at most, and behind how many it leads."""


def cursor(view: View, offset: int, *asked: Any) -> str:
    """What to give to go on behind so many."""
    revision = view.graph.revision if view.as_of is None else view.as_of
    told = json.dumps([offset, revision, view.valid_at, _digest(view.graph, asked)])
    return urlsafe_b64encode(told.encode()).decode().rstrip("=")


def other() -> Refused:
    """The refusal of a cursor that is of something else."""
    return Refused(
        "other_cursor",
        "The cursor is of another question, or was not made here.",
        hint="Give the cursor of the last answer with the same arguments, or leave it out to begin anew.",
    )


def resumed(graph: World, cursor: str, *asked: Any, refusal: Callable[[], Refused] = other) -> tuple[View, int]:
    """The view that the first page was of, and behind how many to go on. Raises Refused."""
    try:
        offset, revision, valid_at, digest = said(cursor)
        if digest != _digest(graph, asked):
            raise ValueError
    except ValueError:
        raise refusal() from None
    return view_of(graph, None if revision == graph.revision else revision, valid_at), offset


def said(cursor: str) -> tuple[int, int, str, Any]:
    """What a cursor says: behind how many to go on, of which revision, what held when, of what. Raises ValueError."""
    if len(cursor) > LONGEST:
        raise ValueError("no cursor is as long")
    try:
        offset, revision, valid_at, of = json.loads(
            urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        )
    except TypeError:
        raise ValueError("it is no list of four") from None
    if type(offset) is not int or type(revision) is not int or not 0 <= offset < MOST:
        raise ValueError("it has no numbers")
    if type(valid_at) is not str or moment(valid_at) != valid_at:
        raise ValueError("it has no time")
    return offset, revision, valid_at, of


def _digest(graph: World, asked: Any) -> str:
    told = json.dumps([graph.session, *asked], default=sorted)
    return blake2b(told.encode("utf-8", "surrogatepass"), digest_size=9).hexdigest()
