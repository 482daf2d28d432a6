"""The index of words by which a world's table of history is searched: kept by triggers, whoever writes the rows.

Each row has its words in one column, with a space between each two; they are
not taken apart or folded any further, so both databases have the same. A word is
stored with the number of its row set in front (`12_dog`): so a search touches what its own session
has, and no other. SQLite has an FTS5 table without content and a table of which of its
documents are which rows; PostgreSQL a table of `tsvector`s with a GIN index.
"""

import json
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    Subquery,
    Table,
    cast,
    column,
    func,
    inspect,
    literal,
    literal_column,
    select,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from engine.terms import Phrase, Prefix, Term, Word

SEARCH = "search"
"""Where a table's `info` says which column it is searched by."""
SECURE_SINCE = (3, 42)
"""The SQLite from which on an index can do what `pragma secure_delete` does in tables."""
LONGEST_SUFFIX = len("__document")
"""Characters that the names of what an index is made of add to its table's."""


def declared(of: Table) -> str | None:
    """The column of words that a table is searched by, if it is."""
    found = of.info.get(SEARCH)
    return None if found is None else str(found)


def missing(connection: Connection, of: Table) -> bool:
    """Whether a table that is to be searched has no index yet."""
    return declared(of) is not None and not inspect(connection).has_table(f"{of.name}__words")


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


def matching(dialect: str, of: Table, row_set: int, term: Term, most: int | None, first: int | None) -> Subquery:
    """The rows of a row set that have a term: `id`, `since`, and `rank`, the larger the better.

    They are at most `most`, the best of them, and of these at most the `first` so many by `id` and `since`.
    """
    if dialect == "sqlite":
        return _of_sqlite(of, row_set, term, most, first).subquery()
    return _first(_of_postgres(of, row_set, term, most), first).subquery()


def _first(hits: Select[Any], first: int | None) -> Select[Any]:
    return hits if first is None else hits.order_by(hits.selected_columns.id, hits.selected_columns.since).limit(first)


def counts(connection: Connection, of: Table, row_set: int, terms: Sequence[Term], most: int) -> list[int]:
    """How many rows of a row set have each of some terms, or had: exactly up to `most`."""
    one = _COUNT[connection.dialect.name].format(of=of.name)
    written = _match if connection.dialect.name == "sqlite" else _tsquery
    given = {"row_set": row_set, "most": most} | {f"t{at}": written(row_set, term) for at, term in enumerate(terms)}
    each = ", ".join(one.format(term=f":t{at}") for at in range(len(terms)))
    return list(connection.execute(text(f"select {each}"), given).one()) if terms else []


def known(connection: Connection, of: Table, row_set: int, words: Collection[str]) -> frozenset[str]:
    """Which of these words the rows of a row set have, or had."""
    asked = {f"{row_set}_{word}": word for word in words}
    statement = text(_KNOWN[connection.dialect.name].format(of=of.name))
    found = connection.execute(statement, {"words": json.dumps(list(asked))}).scalars()
    return frozenset(asked[word] for word in found)


def _of_sqlite(of: Table, row_set: int, term: Term, most: int | None, first: int | None) -> Select[Any]:
    index = table(f"{of.name}__words", column("rowid"))
    sought = literal_column(f'"{index.name}"').op("match")(literal(_match(row_set, term), String))
    document = table(f"{of.name}__document", *map(column, ("docid", "id", "since")))
    # That they are of the row set, the words say; asked once more, SQLite would begin with all documents of it.
    hits = select(document.c.id, document.c.since).where(sought, document.c.docid == index.c.rowid)
    found = (_first(hits, first) if most is None else hits).subquery()
    same = (of.c.session_id == row_set, of.c.id == found.c.id, of.c.since == found.c.since + 0)
    rank = select(_bm25(of.c[str(of.info[SEARCH])], term)).where(*same).scalar_subquery().label("rank")
    ranked = select(found.c.id, found.c.since, rank)
    if most is None:
        return ranked
    best = ranked.order_by(rank.desc()).limit(most).subquery()
    return _first(select(best.c.id, best.c.since, best.c.rank), first)


def _bm25(words: ColumnElement[str], term: Term) -> ColumnElement[Any]:
    """How well words fit a term, by nothing but these: the index's own `bm25` changes with whatever else is told.

    Of a word that comes twice in a row one is counted, and a text is as long as its characters: that is faster.
    """
    spaced, wanted = " " + words + " ", term.spaced
    often = (func.length(spaced) - func.length(func.replace(spaced, wanted, ""))) / float(len(wanted))
    return (OFTEN + 1) / (1 + OFTEN * (1 - LONG + LONG * func.length(words) / USUAL) / often)


def _of_postgres(of: Table, row_set: int, term: Term, most: int | None) -> Select[Any]:
    index = table(f"{of.name}__words", *map(column, ("session_id", "id", "since", "words")))
    query = cast(literal(_tsquery(row_set, term), String), TSQUERY)
    rank = func.ts_rank_cd(index.c.words, query, BY_LENGTH)
    hits = select(index.c.id, index.c.since, rank.label("rank"))
    hits = hits.where(index.c.words.op("@@")(query), index.c.session_id == row_set)
    if most is None:
        return hits
    found = hits.order_by(rank.desc()).limit(most).subquery()
    return select(found.c.id, found.c.since, found.c.rank)


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
        'drop table if exists "{of}__words"',
        'drop table if exists "{of}__document"',
    ),
    "postgresql": (
        'drop trigger if exists "{of}__told" on "{of}"',
        'drop trigger if exists "{of}__gone" on "{of}"',
        'drop function if exists "{of}__tell", "{of}__drop", "{of}__tokens"',
        'drop table if exists "{of}__words"',
    ),
}
_KNOWN = {
    "sqlite": """select value from json_each(:words)
        where exists (select 1 from "{of}__words" where "{of}__words" match '"' || value || '"')""",
    "postgresql": """select value from json_array_elements_text(cast(:words as json)) as each (value)
        where exists (select 1 from "{of}__words" where words @@ cast('''' || value || '''' as tsquery))""",
}
_COUNT = {
    "sqlite": """(select count(*) from
        (select 1 from "{of}__words" where "{of}__words" match {{term}} limit :most))""",
    "postgresql": """(select count(*) from (select 1 from "{of}__words"
        where words @@ cast({{term}} as tsquery) and session_id = :row_set limit :most) as had)""",
}
