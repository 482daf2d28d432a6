"""Which rows of a searched table have a term, and how well they fit: conditions for selects of a world's own.

SQLite ranks by `bm25`, from the words of a row alone; PostgreSQL by `ts_rank_cd`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnClause,
    ColumnElement,
    Integer,
    Select,
    String,
    Table,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
    table,
    tuple_,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from engine.store.schema import part
from engine.store.search import declared
from engine.terms import Phrase, Prefix, Term, Word

OFTEN, LONG, USUAL = 1.2, 0.75, 60.0
"""What `bm25` calls k1 and b, and how many characters a text usually has."""
BY_LENGTH = 1
"""`ts_rank_cd` divides by the logarithm of how long a text is."""


@dataclass(frozen=True, slots=True)
class Matching:
    """Which rows of a class have a term, for a select of your own: `where` says which, `rank` how well each fits.

    `values` are those of the parameters that were given a name.
    """

    where: tuple[ColumnElement[bool], ...]
    rank: ColumnElement[float]
    values: Mapping[str, Any] = field(default_factory=dict)
    _kept: dict[Any, Select[Any]] | None = None

    def keep(self, make: Callable[["Matching"], Select[Any]]) -> Select[Any]:
        """What `make` makes of this: made once for all terms whose parameters have this name.

        Raises TypeError for what is no function of a module: one that is made for each call would be kept for each.
        """
        if "<" in getattr(make, "__qualname__", "<"):
            raise TypeError(f"keep(…) takes a function of a module, received {make!r:.80}")
        if self._kept is None:
            return make(self)
        if make not in self._kept:
            self._kept[make] = make(self)
        return self._kept[make]


@dataclass(frozen=True, slots=True)
class Told:
    """Which rows of a row set were told: by its own changes and these parts, until a revision."""

    row_set: int
    at: int
    parts: Sequence[int]


def matching(dialect: str, rows: Any, told: Told, term: Term, first: int | None, name: str | None) -> Matching:
    """Which rows of a Row class have a term, in a row set; if told, at most the `first` so many by `id` and `since`.

    A `name` is that of the parameters, whose values are to be given to each execution.
    """
    given = _given(dialect, told.row_set, term)
    if first is None:
        return _with(_indexed, dialect, rows, given, name)
    return _with(_first, dialect, rows, {**given, "first": first, "at": told.at, "parts": [0, *told.parts]}, name)


def having(dialect: str, rows: Any, row_set: int, term: Term, name: str | None) -> Matching:
    """The same for rows that something else finds: the words of each are looked at, and not the index."""
    return _with(_looked_at, dialect, rows, _given(dialect, row_set, term), name)


Parameter = Callable[[str], BindParameter[Any]]
Make = Callable[[str, Any, Parameter], Matching]


def _given(dialect: str, row_set: int, term: Term) -> dict[str, Any]:
    return {"sought": written(dialect, row_set, term), "spaced": term.spaced, "row_set": row_set}


def _with(make: Make, dialect: str, rows: Any, given: Mapping[str, Any], name: str | None) -> Matching:
    """What is made with parameters that have these values, or a name."""
    if name is None:
        return make(dialect, rows, lambda key: bindparam(key, given[key], unique=True, **_of(key)))
    return replace(_named(make, dialect, rows, name), values={f"{name}_{key}": value for key, value in given.items()})


@cache
def _named(make: Make, dialect: str, rows: Any, name: str) -> Matching:
    return replace(make(dialect, rows, lambda key: bindparam(f"{name}_{key}", **_of(key))), _kept={})


def _of(parameter: str) -> dict[str, Any]:
    """What is said of a parameter beside its value."""
    types = {"sought": String, "spaced": String, "first": Integer}
    return {"type_": types.get(parameter, BigInteger), "expanding": parameter == "parts"}


def _indexed(dialect: str, rows: Any, parameter: Parameter) -> Matching:
    return _found(dialect, rows, parameter, _sought(dialect, rows, parameter))


def _first(dialect: str, rows: Any, parameter: Parameter) -> Matching:
    found = _sought(dialect, rows, parameter)
    id, since, *_ = found.selected_columns
    # What is told later, or only being written, takes no row's place.
    told = found.where(since + 0 <= parameter("at"), part(id).in_(parameter("parts")))
    return _found(dialect, rows, parameter, told.order_by(id, since).limit(parameter("first")))


def _sought(dialect: str, rows: Any, parameter: Parameter) -> Select[Any]:
    """What the index finds."""
    find = _of_sqlite if dialect == "sqlite" else _of_postgres
    return find(rows.__table__, parameter)


def _found(dialect: str, rows: Any, parameter: Parameter, found: Select[Any]) -> Matching:
    if dialect == "sqlite":
        # In a list, since of two tables SQLite might read the larger first.
        return Matching((tuple_(rows.id, rows.since).in_(found),), _bm25(_words(rows), parameter("spaced")))
    hits = found.subquery()
    # Ranked are those alone that are taken. `since` is computed: an index of it would find very many rows for each.
    return Matching(
        (rows.id == hits.c.id, rows.since + 0 == hits.c.since), _ts_rank_cd(hits.c.words, parameter("sought"))
    )


def _looked_at(dialect: str, rows: Any, parameter: Parameter) -> Matching:
    words, wanted = _words(rows), parameter("spaced")
    spaced = " " + words + " "
    if dialect == "sqlite":
        return Matching((func.instr(spaced, wanted) > 0,), _bm25(words, wanted))
    tokens = getattr(func, f"{rows.__table__.name}__tokens")(rows.session_id, words)
    return Matching((func.strpos(spaced, wanted) > 0,), _ts_rank_cd(tokens, parameter("sought")))


def _words(rows: Any) -> Any:
    return getattr(rows, str(declared(rows.__table__)))


def _integers(*names: str) -> Iterable[ColumnClause[int]]:
    return (column(name, BigInteger) for name in names)


def _of_sqlite(of: Table, parameter: Parameter) -> Select[Any]:
    index = table(f"{of.name}__words", column("rowid"))
    document = table(f"{of.name}__document", *_integers("docid", "id", "since"))
    has = literal_column(f'"{index.name}"').op("match")(parameter("sought"))
    # That they are of the row set, the words say; asked once more, SQLite would begin with all documents of it.
    return select(document.c.id, document.c.since).where(has, document.c.docid == index.c.rowid)


def _bm25(words: ColumnElement[str], wanted: ColumnElement[str]) -> ColumnElement[Any]:
    """How well words fit a term, by nothing but these: the index's own `bm25` changes with whatever else is told.

    Of a word that comes twice in a row one is counted, and a text is as long as its characters: that is faster.
    """
    size = func.length(words)
    taken = size + 2 - func.length(func.replace(" " + words + " ", wanted, ""))
    return (OFTEN + 1) / (1 + (OFTEN * (1 - LONG) + OFTEN * LONG / USUAL * size) * func.length(wanted) / taken)


def _of_postgres(of: Table, parameter: Parameter) -> Select[Any]:
    index = table(f"{of.name}__words", *_integers("session_id", "id", "since"), column("words"))
    has = index.c.words.op("@@")(cast(parameter("sought"), TSQUERY))
    # Computed, or a PostgreSQL that does not know its tables yet reads all of the session's.
    own = index.c.session_id + 0 == parameter("row_set")
    return select(index.c.id, index.c.since, index.c.words).where(has, own)


def _ts_rank_cd(words: Any, sought: Any) -> Any:
    return func.ts_rank_cd(words, cast(sought, TSQUERY), BY_LENGTH)


def written(dialect: str, row_set: int, term: Term) -> str:
    """A term as the database's index takes it."""
    return _match(row_set, term) if dialect == "sqlite" else _tsquery(row_set, term)


def _match(row_set: int, term: Term) -> str:
    """A term as FTS5 takes it; words are letters and digits, so nothing in them needs quoting."""
    match term:
        case Word(word):
            return f'"{row_set}_{word}"'
        case Prefix(word):
            return f'"{row_set}_{word}" *'
        case Phrase(words):
            return f'"{" ".join(f"{row_set}_{word}" for word in words)}"'


def _tsquery(row_set: int, term: Term) -> str:
    """A term as a `tsquery`."""
    match term:
        case Word(word):
            return f"'{row_set}_{word}'"
        case Prefix(word):
            return f"'{row_set}_{word}':*"
        case Phrase(words):
            return " <-> ".join(f"'{row_set}_{word}'" for word in words)
