"""A world's tables: the Row classes it declares, checked, and made to be kept alike by every database."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from sqlalchemy import (
    BigInteger,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Table,
    UniqueConstraint,
    bindparam,
    inspect,
    or_,
)
from sqlmodel import Field, SQLModel

from engine.errors import DefinitionError, InvalidArguments
from engine.store import search
from engine.store.schema import PART_BITS, Large, part
from engine.touched import table_of as table_of
from engine.types import Json

NAME_LIMIT = 63
"""Characters of a table's name that every database takes."""


class Row(SQLModel):
    """Base of a world's tables. The engine adds `session_id` as leading key, fills it and filters by it."""

    session_id: int = Field(default=None, primary_key=True, foreign_key="session.id", ondelete="CASCADE", exclude=True)

    def __init_subclass__(cls, **options: Any) -> None:
        if "__tablename__" not in vars(cls):
            cls.__tablename__ = table_name(cls)
        check_unused(cls)
        super().__init_subclass__(**options)


AnyModel = TypeVar("AnyModel", bound=SQLModel)


def table_name(row: type) -> str:
    """`<module>__<class>` in snake case, so that tables of two modules never meet: `worlds.cart` gives `cart__line`."""
    parts = [part for part in row.__module__.split(".") if part not in ("worlds", "__main__")]
    return f"{'_'.join(parts) or 'main'}__{snake(row.__name__)}"


def snake(name: str) -> str:
    """`CartLine` as `cart_line`."""
    return "".join(f"_{char.lower()}" if char.isupper() and index else char.lower() for index, char in enumerate(name))


def check_unused(row: type[SQLModel]) -> None:
    """Insist that no other class has a class's table. Raises DefinitionError."""
    name = str(row.__tablename__)
    if name in SQLModel.metadata.tables or name == "turnkeeper":  # which every exported session has
        raise DefinitionError(
            f"{row.__name__}: there is a table {name} already.",
            hint='Name the class otherwise, or give it `__tablename__ = "…"`.',
        )


class HistoryRow(Row):
    """Base of tables whose rows are themselves history: nothing is overwritten, and undo erases nothing either.

    The engine gives each row its `id`, and the revisions it stands at: from `since` on, and before `until`. A row
    that is removed ends; one that undo brings back begins anew, under the same id. `__search__` names a column of
    words by which rows are found: folded, letters and digits alone, with a space between each two.
    """

    id: int = Field(default=None, primary_key=True)
    since: int = Field(default=None, primary_key=True)
    until: int | None = None

    @classmethod
    def standing_now(cls, of: Any = None) -> tuple[Any, ...]:
        """The conditions by which `self.select` finds the rows that stand, of any session: for a statement to keep.

        They are those of now, of the revision at which the session is looked at, or of the one that `self.select` is
        given. `of` is an alias of the class.
        """
        rows: Any = cls if of is None else of
        then = bindparam(STANDING_AT, type_=BigInteger)
        own = _stood(rows, then)
        return own if issubclass(cls, Part) else (*own, of_parts_in(rows, STANDING_PARTS))


class Part(HistoryRow):
    """Base of a world's table of what was written ahead: while a row of it stands, so do the rows of that part.

    Its `id` is the part's number, which rows that were written ahead have as the upper half of theirs.
    """


STANDING_PARTS = "turnkeeper_standing_parts"
"""The parameter that says which parts stand; 0 is what the session's own changes made."""
STANDING_AT = "turnkeeper_standing_at"
"""The parameter that says at which revision rows stand; `NOW` is after all of them."""
NOW = 1 << 62
FIRST_OF_PARTS = 1 << PART_BITS
"""The first id of rows that were written ahead; those below are of the session's own changes."""


def of_parts(of: Any, parts: Collection[int]) -> Any:
    """The condition for which rows are of the session's own changes, or of those parts."""
    return part(of.id).in_((0, *parts))


def of_parts_in(of: Any, parameter: str) -> Any:
    """The same for the parts that a parameter names, 0 among them."""
    return part(of.id).in_(bindparam(parameter, expanding=True))


def part_of(image: Mapping[str, Any]) -> int:
    """Which part a row of history is of; 0 for those of the session's own changes."""
    return int(image["id"]) >> PART_BITS


def standing(of: Any, at: int | None, parts: Collection[int]) -> tuple[Any, ...]:
    """The conditions for which rows stand now, or stood `at` a revision. `of` has the columns, `parts` stand then."""
    known = of_parts(of, parts)
    if at is None:
        return (of.until.is_(None), known)
    return (*_stood(of, at), known)


def _stood(of: Any, at: Any) -> tuple[Any, ...]:
    """Computed, so that no index on these columns is read: hardly a row began later."""
    return (of.since + 0 <= at, or_(of.until.is_(None), of.until + 0 > at))


def ends_now(row: HistoryRow, revision: int) -> bool:
    """Whether all that was changed of a row is that it ends."""
    state: Any = inspect(row)
    changed = {attribute.key for attribute in state.attrs if attribute.history.has_changes()}
    return changed == {"until"} and row.until == revision


def fit_row(row: type[SQLModel]) -> None:
    """Have every database keep a table alike: integers of 64 bits, foreign keys that can wait for the commit."""
    for column in table_of(row).columns:
        if type(column.type) is Integer:
            column.type = Large
    if (words := vars(row).get("__search__")) is not None:
        table_of(row).info[search.SEARCH] = words
    for constraint in table_of(row).foreign_key_constraints:
        constraint.deferrable = True
        _index(table_of(row), [column.name for column in constraint.columns])


def _index(table: Table, names: list[str]) -> None:
    """Index what refers to other rows: each deletion of one of those looks for what refers to it."""
    known = [table.primary_key.columns, *(index.columns for index in table.indexes)]
    if not any([column.name for column in columns][: len(names)] == names for columns in known):
        Index(None, *(table.c[name] for name in names))


def check_row(row: type[Row]) -> None:
    """Insist that a Row class can be kept: a table, with a key of its own. Raises DefinitionError."""
    if not (isinstance(row, type) and issubclass(row, Row)):
        raise DefinitionError(f"rows= names {row!r}, which is no Row class.", hint="Write `class …(Row, table=True)`.")
    if not hasattr(row, "__table__"):
        raise DefinitionError(f"{row.__name__} is not a table.", hint=f"Write `class {row.__name__}(Row, table=True)`.")
    if len(table_of(row).primary_key) < 2:
        raise DefinitionError(f"{row.__name__} has no key of its own.", hint="Mark a column `Field(primary_key=True)`.")
    check_name(row)
    check_stored(row)
    check_searched(row)
    for columns in _unique(table_of(row)):
        if "session_id" not in columns:
            raise DefinitionError(
                f"{row.__name__}: {', '.join(columns)} would be unique among all sessions together.",
                hint=f"Write `__table_args__ = (UniqueConstraint({', '.join(map(repr, ('session_id', *columns)))}),)`.",
            )
    for constraint in table_of(row).foreign_key_constraints:
        _check_reference(row, constraint)


def check_name(row: type[SQLModel]) -> None:
    """Insist that databases take a table's name. Raises DefinitionError."""
    name = table_of(row).name
    if len(name) > NAME_LIMIT:
        raise DefinitionError(
            f"{row.__name__}: the table {name} has {len(name)} characters; databases take {NAME_LIMIT}.",
            hint='Give it a shorter one: `__tablename__ = "…"` in the class.',
        )


def check_stored(row: type[SQLModel]) -> None:
    """Insist that the journal's JSON can say what a table's columns hold. Raises DefinitionError."""
    for column in table_of(row).columns:
        if isinstance(column.type, LargeBinary):
            raise DefinitionError(
                f"{row.__name__}.{column.name} holds bytes, which the journal's JSON cannot.",
                hint="Keep text: `base64.b64encode(…).decode()` in a str column.",
            )
        if isinstance(column.type, Numeric) and not isinstance(column.type, Float):
            raise DefinitionError(
                f"{row.__name__}.{column.name} is a Decimal, of which databases keep other digits than the journal.",
                hint="Keep an int in the smallest unit, such as cents, or a str column.",
            )


def check_searched(row: type[SQLModel]) -> None:
    """Insist that a table can have the index of words that it declares. Raises DefinitionError."""
    words = vars(row).get("__search__")
    if words is None:
        return
    if not issubclass(row, HistoryRow):
        raise DefinitionError(f"{row.__name__} is searched by {words!r}, and is no HistoryRow.", hint="Make it one.")
    table = table_of(row)
    if words not in row.model_fields or row.model_fields[words].annotation is not str:
        raise DefinitionError(
            f"{row.__name__} is searched by {words!r}, which is no column of text.",
            hint='Write `__search__ = "words"` and `words: str`.',
        )
    if len(table.name) + search.LONGEST_SUFFIX > NAME_LIMIT:
        raise DefinitionError(
            f"{row.__name__} is searched, and its table {table.name} has {len(table.name)} characters.",
            hint=f'Give it a name of at most {NAME_LIMIT - search.LONGEST_SUFFIX}: `__tablename__ = "…"` in the class.',
        )


def _check_reference(row: type[Row], constraint: ForeignKeyConstraint) -> None:
    names = list(constraint.column_keys)
    if names == ["session_id"]:
        return
    if "session_id" not in names:
        raise DefinitionError(
            f"{row.__name__}: the foreign key {', '.join(names)} would reach into other sessions.",
            hint="Write a ForeignKeyConstraint whose columns begin with session_id on both sides.",
        )
    if constraint.ondelete or constraint.onupdate:
        raise DefinitionError(
            f"{row.__name__}: the foreign key {', '.join(names)} lets the database change rows past the journal.",
            hint="Leave ondelete and onupdate out, and change the rows in the action.",
        )


def _unique(table: Table) -> Iterator[list[str]]:
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield [column.name for column in constraint.columns]
    for index in table.indexes:
        if index.unique:
            yield [column.name for column in index.columns]


def validated(model: type[AnyModel], values: Mapping[str, Any]) -> AnyModel:
    """A row of these values. Raises InvalidArguments."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidArguments(f"{model.__name__}.{'.'.join(map(str, first['loc']))}: {first['msg']}.") from None


def values_of(model: type[SQLModel], values: Mapping[str, Json]) -> dict[str, Any]:
    """The values by column that an image stands for."""
    known = {name: value for name, value in values.items() if name in model.model_fields}
    row = model.model_validate({**known, "session_id": 0})
    return {name: getattr(row, name) for name in known}
