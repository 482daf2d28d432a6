"""The index of words by which a world's table of history is searched: kept by triggers, whoever writes the rows.

Each row has its words in one column, with a space between each two; they are
not taken apart or folded any further, so both databases have the same. A word is
stored with the number of its row set in front (`12_dog`): so a search touches what its own session
has, and no other. SQLite has an FTS5 table without content and a table of which of its
documents are which rows; PostgreSQL a table of `tsvector`s with a GIN index.
"""

import json
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnClause,
    ColumnElement,
    Connection,
    Integer,
    Select,
    String,
    Table,
    bindparam,
    cast,
    column,
    func,
    inspect,
    literal_column,
    select,
    table,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from engine.store.schema import part
from engine.terms import Phrase, Prefix, Term, Word

SEARCH = "search"
"""Where a table's `info` says which column it is searched by."""
SECURE_SINCE = (3, 42)
"""The SQLite from which on an index can do what `pragma secure_delete` does in tables."""
BEGINNING, MANY, LISTED = 2, 50, 3_000
"""Of so many words that begin with the same letters all that begin so are listed, if that is no more than this."""
LONGEST_SUFFIX = len("__document")
"""Characters that the names of what an index is made of add to its table's."""


def declared(of: Table) -> str | None:
    """The column of words that a table is searched by, if it is."""
    found = of.info.get(SEARCH)
    return None if found is None else str(found)


def missing(connection: Connection, of: Table) -> bool:
    """Whether a table that is to be searched has no index yet."""
    return declared(of) is not None and not inspect(connection).has_table(f"{of.name}__words")


def names(of: Iterable[Table]) -> frozenset[str]:
    """What the indexes of tables are made of that are searched."""
    searched = (table.name for table in of if declared(table))
    return frozenset(f"{name}__{part}" for name in searched for part in ("words", "document", "vocab"))


def create(connection: Connection, of: str, words: str) -> None:
    """Make the index of a table by its column `words`, and fill it with what the table has.

    For migrations: `search.create(op.get_bind(), "notes__note", "words")`. Where a later one makes the table anew, as
    SQLite needs for most changes, its triggers are gone: `drop` the index before, and create it again.
    """
    for statement in _CREATE[connection.dialect.name]:
        connection.exec_driver_sql(statement.format(of=of, words=words))
    if connection.dialect.name == "sqlite" and (connection.dialect.server_version_info or ()) >= SECURE_SINCE:
        connection.exec_driver_sql(f"""insert into "{of}__words" ("{of}__words", rank) values ('secure-delete', 1)""")


def drop(connection: Connection, of: str) -> None:
    """Remove the index of a table."""
    for statement in _DROP[connection.dialect.name]:
        connection.exec_driver_sql(statement.format(of=of))


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
    given = _given(dialect, told, term)
    if first is None:
        return _with(_indexed, dialect, rows, given, name)
    return _with(_first, dialect, rows, {**given, "first": first, "at": told.at, "parts": [0, *told.parts]}, name)


def having(dialect: str, rows: Any, told: Told, term: Term, name: str | None) -> Matching:
    """The same for rows that something else finds: the words of each are looked at, and not the index."""
    return _with(_looked_at, dialect, rows, _given(dialect, told, term), name)


Parameter = Callable[[str], BindParameter[Any]]
Make = Callable[[str, Any, Parameter], Matching]


def _given(dialect: str, told: Told, term: Term) -> dict[str, Any]:
    sought = _match(told.row_set, term) if dialect == "sqlite" else _tsquery(told.row_set, term)
    return {"sought": sought, "spaced": term.spaced, "row_set": told.row_set}


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
    find = _of_sqlite if dialect == "sqlite" else _of_postgres
    return _found(dialect, rows, parameter, find(rows.__table__, parameter))


def _first(dialect: str, rows: Any, parameter: Parameter) -> Matching:
    find = _of_sqlite if dialect == "sqlite" else _of_postgres
    found = find(rows.__table__, parameter)
    id, since, *_ = found.selected_columns
    # What is told later, or only being written, takes no row's place.
    told = found.where(since <= parameter("at"), part(id).in_(parameter("parts")))
    return _found(dialect, rows, parameter, told.order_by(id, since).limit(parameter("first")))


def _found(dialect: str, rows: Any, parameter: Parameter, found: Select[Any]) -> Matching:
    if dialect == "sqlite":
        # In a list, since of two tables SQLite might read the larger first.
        return Matching((tuple_(rows.id, rows.since).in_(found),), _bm25(_words(rows), parameter("spaced")))
    hits = found.subquery()
    # Ranked are those alone that are taken.
    return Matching((rows.id == hits.c.id, rows.since == hits.c.since), _ts_rank_cd(hits.c.words, parameter("sought")))


def _looked_at(dialect: str, rows: Any, parameter: Parameter) -> Matching:
    words, wanted = _words(rows), parameter("spaced")
    spaced = " " + words + " "
    if dialect == "sqlite":
        return Matching((func.instr(spaced, wanted) > 0,), _bm25(words, wanted))
    tokens = getattr(func, f"{rows.__table__.name}__tokens")(rows.session_id, words)
    return Matching((func.strpos(spaced, wanted) > 0,), _ts_rank_cd(tokens, parameter("sought")))


def _words(rows: Any) -> Any:
    return getattr(rows, str(declared(rows.__table__)))


def common(connection: Connection, of: Table, told: Told, terms: Sequence[Term], most: int) -> frozenset[Term]:
    """Which of some terms more than `most` rows have, or had, that were told."""
    for count in _COUNTS[connection.dialect.name]:
        had = _had(connection, count, of, told, terms, most)
        terms = [term for term, rows in zip(terms, had, strict=True) if rows > most]
    return frozenset(terms)


def _had(connection: Connection, count: str, of: Table, told: Told, terms: Sequence[Term], most: int) -> Sequence[int]:
    """How many rows have each of some terms, up to one more than `most`."""
    if not terms:
        return ()
    written = _match if connection.dialect.name == "sqlite" else _tsquery
    sought = {f"t{at}": written(told.row_set, term) for at, term in enumerate(terms)}
    given = {"row_set": told.row_set, "at": told.at, "parts": json.dumps([0, *told.parts]), "most": most + 1}
    each = ", ".join(count.format(of=of.name, term=f":{name}") for name in sought)
    return connection.execute(text(f"select {each}"), {**given, **sought}).one()


def known(connection: Connection, of: Table, row_set: int, words: Collection[str]) -> frozenset[str]:
    """Which of these words the rows of a row set have, or had."""
    asked = {f"{row_set}_{word}": word for word in words}
    there, left = _listed(connection, of, asked) if connection.dialect.name == "sqlite" else (set[str](), [*asked])
    statement = text(_KNOWN[connection.dialect.name].format(of=of.name))
    there.update(connection.execute(statement, {"words": json.dumps(left)}).scalars() if left else ())
    return frozenset(asked[word] for word in there)


def _listed(connection: Connection, of: Table, asked: Iterable[str]) -> tuple[set[str], list[str]]:
    """Which words FTS5's index has, and those that are to be looked up, each by itself.

    Many that begin alike are found in the list of what the index has that begins so: a word of it takes 1 µs, while
    looking one up takes 20.
    """
    alike: dict[str, set[str]] = {}
    for word in asked:
        alike.setdefault(word[: word.index("_") + 1 + BEGINNING], set()).add(word)
    there, left = set[str](), list[str]()
    for beginning, some in alike.items():
        listed = _beginning(connection, of, beginning) if len(some) >= MANY else None
        if listed is None:
            left += some
        else:
            there |= some.intersection(listed)
    return there, left


def _beginning(connection: Connection, of: Table, beginning: str) -> Sequence[str] | None:
    """The words that FTS5's index has that begin so; None if these are too many."""
    statement = text(_LIST.format(of=of.name))
    bounds = {"first": beginning, "last": beginning + chr(sys.maxunicode), "most": LISTED + 1}
    listed = connection.execute(statement, bounds).scalars().all()
    return listed if len(listed) <= LISTED else None


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
    return select(index.c.id, index.c.since, index.c.words).where(has, index.c.session_id == parameter("row_set"))


def _ts_rank_cd(words: Any, sought: Any) -> Any:
    return func.ts_rank_cd(words, cast(sought, TSQUERY), BY_LENGTH)


OFTEN, LONG, USUAL = 1.2, 0.75, 60.0
"""What `bm25` calls k1 and b, and how many characters a text usually has."""
BY_LENGTH = 1
"""`ts_rank_cd` divides by the logarithm of how long a text is."""


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


_TOKENS = "{row}.session_id || '_' || replace({row}.{{words}}, ' ', ' ' || {row}.session_id || '_')"
_SQLITE = (
    """create table "{of}__document" (
        docid integer primary key,
        session_id integer not null, id integer not null, since integer not null,
        unique (session_id, id, since)
    )""",
    # Words come folded: of ASCII, whose letters and digits are all it has, this takes the space as what parts them.
    """create virtual table "{of}__words" using fts5(words, content = '', tokenize = "ascii tokenchars '_'")""",
    # Few parts, each of which every look at a word goes through: FTS5 by itself lets 16 small ones be.
    """insert into "{of}__words" ("{of}__words", rank) values ('automerge', 3), ('crisismerge', 5)""",
    """create virtual table "{of}__vocab" using fts5vocab("{of}__words", 'row')""",
    """insert into "{of}__document" (session_id, id, since)
        select session_id, id, since from "{of}" where {words} <> '' order by session_id, id, since""",
    f"""insert into "{{of}}__words" (rowid, words) select docid, {_TOKENS.format(row="row")}
        from "{{of}}__document" join "{{of}}" as row using (session_id, id, since)""",
    f"""create trigger "{{of}}__told" after insert on "{{of}}" when new.{{words}} <> '' begin
        insert into "{{of}}__document" (session_id, id, since) values (new.session_id, new.id, new.since);
        insert into "{{of}}__words" (rowid, words) values (last_insert_rowid(), {_TOKENS.format(row="new")});
    end""",
    f"""create trigger "{{of}}__gone" after delete on "{{of}}" when old.{{words}} <> '' begin
        insert into "{{of}}__words" ("{{of}}__words", rowid, words)
            select 'delete', docid, {_TOKENS.format(row="old")} from "{{of}}__document"
            where session_id = old.session_id and id = old.id and since = old.since;
        delete from "{{of}}__document" where session_id = old.session_id and id = old.id and since = old.since;
    end""",
)
_POSTGRES = (
    """create table "{of}__words" (
        session_id bigint not null, id bigint not null, since bigint not null, words tsvector not null,
        primary key (session_id, id, since)
    )""",
    # A literal of words and their places, so that no parser or dictionary makes anything else of them.
    r"""create function "{of}__tokens" (row_set bigint, words text) returns tsvector language sql immutable as $$
        select string_agg('''' || row_set || '_' || replace(replace(word, '\', '\\'), '''', '''''')
            || ''':' || place, ' ')::tsvector
        from unnest(string_to_array(words, ' ')) with ordinality as each (word, place)
    $$""",
    """insert into "{of}__words" select session_id, id, since, "{of}__tokens"(session_id, {words})
        from "{of}" where {words} <> ''""",
    """create index "ix_{of}__words" on "{of}__words" using gin (words) with (gin_pending_list_limit = 256)""",
    """create function "{of}__tell" () returns trigger language plpgsql as $$ begin
        insert into "{of}__words"
            values (new.session_id, new.id, new.since, "{of}__tokens"(new.session_id, new.{words}));
        return null;
    end $$""",
    """create function "{of}__drop" () returns trigger language plpgsql as $$ begin
        delete from "{of}__words" where session_id = old.session_id and id = old.id and since = old.since;
        return null;
    end $$""",
    """create trigger "{of}__told" after insert on "{of}" for each row when (new.{words} <> '')
        execute function "{of}__tell"()""",
    """create trigger "{of}__gone" after delete on "{of}" for each row when (old.{words} <> '')
        execute function "{of}__drop"()""",
)
_CREATE = {"sqlite": _SQLITE, "postgresql": _POSTGRES}
_DROP = {
    "sqlite": (
        'drop trigger if exists "{of}__told"',
        'drop trigger if exists "{of}__gone"',
        'drop table if exists "{of}__vocab"',
        'drop table if exists "{of}__words"',
        'drop table if exists "{of}__document"',
    ),
    "postgresql": (
        'drop trigger if exists "{of}__told" on "{of}"',
        'drop trigger if exists "{of}__gone" on "{of}"',
        'drop function if exists "{of}__tell", "{of}__drop", "{of}__tokens"',
        'drop table if exists "{of}__vocab"',
        'drop table if exists "{of}__words"',
    ),
}
_KNOWN = {
    "sqlite": """select value from json_each(:words)
        where exists (select 1 from "{of}__words" where "{of}__words" match '"' || value || '"')""",
    "postgresql": """select value from json_array_elements_text(cast(:words as json)) as each (value)
        where exists (select 1 from "{of}__words" where words @@ cast('''' || value || '''' as tsquery))""",
}
_LIST = """select term from "{of}__vocab" where term >= :first and term < :last limit :most"""
_COUNTS = {
    "sqlite": (
        # How many rows there are at most, the index says by itself.
        """(select count(*) from (select 1 from "{of}__words" where "{of}__words" match {term} limit :most))""",
        """(select count(*) from (select 1 from "{of}__words" as had cross join "{of}__document" as document
            where "{of}__words" match {term} and document.docid = had.rowid and document.since <= :at
                and document.id >> 32 in (select value from json_each(:parts)) limit :most))""",
    ),
    "postgresql": (
        """(select count(*) from (select 1 from "{of}__words"
            where words @@ cast({term} as tsquery) and session_id = :row_set and since <= :at and id >> 32 in
                (select cast(value as bigint) from json_array_elements_text(cast(:parts as json)) as each (value))
            limit :most) as had)""",
    ),
}
"""Statements that count what has a term, each of what the one before left open."""
