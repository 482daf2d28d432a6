"""The index of words by which a world's table of history is searched: kept by triggers, whoever writes the rows.

Each row has its words in one column, with a space between each two; they are not taken apart or folded any further, so
both databases have the same. A word is stored with the number of its row set in front (`12_dog`): so a search touches
what its own session has, and no other. SQLite has an FTS5 table without content and a table of which of its documents
are which rows; PostgreSQL a table of `tsvector`s with a GIN index.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, Table, inspect

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
    """insert into "{of}__words" ("{of}__words", rank) values ('crisismerge', 6)""",
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
        'drop table if exists "{of}__words"',
    ),
}
