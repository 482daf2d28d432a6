"""How an author says what an older version's content becomes: plain functions, each one step of one kind of content.

`@upgrade` marks a function, `class …(World, version=…, upgrades=[…])` lists it;
the class statement turns the list into `Upgrades`.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from engine.errors import DefinitionError
from engine.models import Row, table_of
from engine.signatures import refuse_async

UPGRADE_MARK = "__turnkeeper_upgrade__"
DOCUMENT, STATE = "the document", "the state"
"""What a step may be of, beside tables, which are known by their names."""

Step = Callable[[Any], Any]
"""What a version stored, as JSON, to what the next one would have stored: pure, and without a look elsewhere."""
Function = TypeVar("Function", bound=Step)


@dataclass(frozen=True, slots=True)
class Marked:
    """What the author said in `@upgrade(…)`."""

    to: int
    of: type | str | None


@dataclass(frozen=True, slots=True)
class Upgrades:
    """A world's version, and its steps in order by what they are of: the document, the state or a table."""

    version: int
    steps: Mapping[str, tuple[tuple[int, Step], ...]] = field(default_factory=dict)

    def after(self, version: int, of: str) -> list[Step]:
        """The steps that a version's content of a kind still has to take."""
        return [step for to, step in self.steps.get(of, ()) if to > version]


def upgrade(*, to: int, of: type[Row] | type[StrEnum] | str | None = None) -> Callable[[Function], Function]:
    """Make a function the step to version `to`: it gets what the version before stored, and returns what this one does.

    Of the session's document, a dict, unless `of` says otherwise: a Row class,
    for its rows as dicts by column (None: the row is no more); the name of a
    table that the world has no longer; or the world's states, for the name of a
    state or history (None: nothing became of it).
    """

    def mark(function: Function) -> Function:
        label = f"@upgrade(to={to!r})"
        if not inspect.isfunction(function):
            raise DefinitionError(
                f"{label} was given {function!r}, which is no plain function.",
                hint="Put it on a `def …(stored):` at module level.",
            )
        refuse_async(function.__qualname__, function, "content is upgraded inside a transaction")
        if _takes(function) != 1:
            raise DefinitionError(
                f"{function.__qualname__}{inspect.signature(function)} does not take one thing to upgrade.",
                hint="Write `def …(stored: dict) -> dict`: it gets what was stored, and nothing else.",
            )
        setattr(function, UPGRADE_MARK, (*getattr(function, UPGRADE_MARK, ()), Marked(to, of)))
        return function

    return mark


def build_upgrades(
    label: str, version: int, functions: Iterable[Any], rows: Iterable[type[Row]], states: type[StrEnum] | None
) -> Upgrades:
    """The steps that a world lists, checked. Raises DefinitionError."""
    if not _is_version(version) or version < 1:
        raise DefinitionError(f"{label}: version={version!r} is no version.", hint="Count 1, 2, 3 …")
    found: dict[str, dict[int, Step]] = {}
    for function in functions:
        name = getattr(function, "__qualname__", repr(function))
        for marked in getattr(function, UPGRADE_MARK, ()):
            steps = found.setdefault(_kind(f"{label}: {name}", marked.of, tuple(rows), states), {})
            _check_step(f"{label}: {name}", marked, steps, version)
            steps[marked.to] = function
        if not hasattr(function, UPGRADE_MARK):
            raise DefinitionError(f"{label}: upgrades= names {name}, which is none.", hint="Mark it @upgrade(to=…).")
    return Upgrades(version, {of: tuple(sorted(steps.items())) for of, steps in found.items()})


def _kind(label: str, of: type | str | None, rows: tuple[type[Row], ...], states: type[StrEnum] | None) -> str:
    if of is None:
        return DOCUMENT
    if isinstance(of, str):
        return of
    if of is states:
        return STATE
    if of in rows and hasattr(of, "__table__"):
        return table_of(of).name
    names = [kind.__name__ for kind in (*rows, *([] if states is None else [states]))]
    raise DefinitionError(
        f"{label} is of={of!r}, which is not this world's.",
        hint=f"It has: {', '.join(names) or 'a document only, for which of= is left out'}."
        " A table that it has no longer is given by its name.",
    )


def _check_step(label: str, marked: Marked, steps: Mapping[int, Step], version: int) -> None:
    if not _is_version(marked.to) or not 2 <= marked.to <= version:
        raise DefinitionError(
            f"{label} leads to version {marked.to!r}, but the world is at version {version}.",
            hint="Raise version= in the class statement with each new step; the first leads to 2.",
        )
    if marked.to in steps:
        raise DefinitionError(
            f"{label} and {steps[marked.to].__qualname__} are the same step, to version {marked.to}.",
            hint="Put both into one function, or raise the version for one of them.",
        )


def _is_version(given: object) -> bool:
    return isinstance(given, int) and not isinstance(given, bool)


def _takes(function: Callable[..., Any]) -> int:
    """How many arguments a function must, and may, be called with by position; -1 if that is not one number."""
    parameters = inspect.signature(function).parameters.values()
    plain = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty]
    return len(plain) if len(plain) == len(parameters) else -1
