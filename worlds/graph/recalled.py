"""What was worked out of a graph before, for who asks again: of the same facts, as they held at the same time."""

from bisect import bisect_right
from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel
from sqlmodel import col, select

from worlds.graph.facts import Fact
from worlds.graph.view import View

T = TypeVar("T")
NEVER = 1 << 60
"""The size of what is not to be remembered."""


def recalled(view: View, make: Callable[[], T], *asked: str | float, size: Callable[[T], int]) -> T:
    """An answer about a whole graph: worked out once as long as nothing was told, began to hold or ended meanwhile."""
    key = (*asked, view.as_of, period(view))
    return view.graph.cached(key, make, size=size)


def period(view: View) -> int:
    """Which of the periods a view is of, between two instants at which facts begin or cease to hold."""
    instants = view.graph.cached(("instants", view.as_of), lambda: _instants(view), size=lambda found: 100 * len(found))
    return bisect_right(instants, view.valid_at)


def _instants(view: View) -> list[str]:
    """When facts begin or cease to hold, as far as is known."""
    asked = [
        select(column).where(*view.recorded(), col(column).is_not(None)).distinct()
        for column in (Fact.valid_from, Fact.valid_to)
    ]
    return sorted({instant for one in asked for (instant,) in view.graph.select(one)})


def size_of(answer: BaseModel) -> int:
    """About how many bytes an answer takes."""
    return 4 * len(answer.model_dump_json())
