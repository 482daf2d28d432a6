"""Tables that are searched by words: which rows a term finds, and that the index goes along with whatever is done."""

from collections.abc import Callable
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect
from sqlmodel import Field, SQLModel, col, select

from engine import HistoryRow, Matching, Part, Phrase, Prefix, Row, Word, World, action
from engine import upgrade as upgrades
from engine.dispatch import Dispatcher
from engine.errors import DefinitionError
from engine.migrate import behind, config, types_differ, upgrade
from engine.models import table_of
from engine.operations import Call
from engine.registry import Registry
from engine.store import search
from engine.store.stores import Store
from engine.terms import Term
from engine.types import LOCAL, Principal
from worlds.graph import Graph
from worlds.graph.facts import Fact


class Line(HistoryRow, table=True):
    __search__ = "words"
    words: str


class Volume(Part, table=True):
    pass


class Poem(World, name="poem", rows=[Line, Volume]):
    """Lines of a poem."""

    @action
    def write(self, lines: list[str]) -> None:
        self.rows(Line).add_all([{"words": line} for line in lines])

    @action
    def strike(self, line: str) -> None:
        for row in self.rows(Line).where(words=line):
            self.rows(Line).remove(row)

    @action
    def write_and_strike(self, line: str) -> None:
        self.rows(Line).remove(self.rows(Line).add(words=line))

    @action(read_only=True)
    def find(self, kind: str, words: list[str], at: int | None = None, first: int | None = None) -> list[str]:
        found = self.rows(Line).at(at).matching(_term(kind, words), first=first)
        lines = select(Line.words).where(*found.where, *self.rows(Line).at(at).standing())
        return [line for (line,) in self.select(lines.order_by(found.rank.desc(), col(Line.id)))]

    @action(read_only=True)
    def look(self, kind: str, words: list[str]) -> list[str]:
        term = _term(kind, words)
        looked_at, found = self.rows(Line).having(term), self.rows(Line).matching(term)
        ranks = select(looked_at.rank, found.rank).where(*found.where)
        assert all(one == pytest.approx(other) for one, other in self.select(ranks))
        return [line for (line,) in self.select(lines_of(looked_at))]

    @action(read_only=True)
    def common(self, words: list[str], most: int, at: int | None = None) -> list[str]:
        found = self.rows(Line).at(at).common([*map(Word, words)], most=most)
        return sorted(term.text for term in found if isinstance(term, Word))

    @action(read_only=True)
    def find_both(self, words: list[str]) -> list[str]:
        one, other = (self.rows(Line).matching(Word(word), first=9, name=f"w{at}") for at, word in enumerate(words))
        wanted = one.keep(lines_of)
        assert wanted is one.keep(lines_of) and wanted is not other.keep(lines_of)
        both = wanted.where(*other.where).order_by(one.rank + other.rank)
        alone = [line for (line,) in self.select(wanted, one.values)]
        assert alone == [line for (line,) in self.select(lines_of(self.rows(Line).matching(Word(words[0]), first=9)))]
        return [line for (line,) in self.select(both, {**one.values, **other.values})]

    @action(read_only=True)
    def find_kept(self, word: str) -> list[str]:
        kept = self.rows(Line).matching(Word(word), name="word")
        return [line for (line,) in self.select(kept.keep(lines_of), kept.values)]

    @action(read_only=True)
    def keep_what_is_made_each_time(self) -> None:
        self.rows(Line).matching(Word("dog"), name="word").keep(lambda found: lines_of(found))

    @action(read_only=True)
    def known(self, words: list[str]) -> list[str]:
        return sorted(self.rows(Line).known(words))


@upgrades(to=2, of=Line)
def capital(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "words": f"old {row['words']}"}


class Later(Poem, name="poem", rows=[Line, Volume], version=2, upgrades=[capital]):
    """Lines of a poem, by its second version."""


def _term(kind: str, words: list[str]) -> Term:
    terms: dict[str, Term] = {"word": Word(words[0]), "prefix": Prefix(words[0]), "phrase": Phrase(tuple(words))}
    return terms[kind]


def lines_of(found: Matching) -> Any:
    return select(Line.words).where(*found.where, *Line.standing_now()).order_by(found.rank.desc(), col(Line.id) + 0)


def do(
    poems: Dispatcher, action: str, principal: Principal = LOCAL, session: str | None = None, **arguments: Any
) -> Any:
    given = Call(principal=principal, world="poem", action=action, session=session, arguments=arguments)
    return poems.dispatch(given).value


def found(poems: Dispatcher, *words: str, kind: str = "word", **more: Any) -> list[str]:
    return sorted(do(poems, "find", kind=kind, words=list(words), **more))


def documents(poems: Dispatcher) -> set[Any]:
    """How many documents the index has, by each of the ways to count them."""
    with poems.store.connection() as connection:
        names = ("words", "document") if connection.dialect.name == "sqlite" else ("words",)
        counts = {connection.exec_driver_sql(f'select count(*) from "{_table()}__{name}"').scalar() for name in names}
        if connection.dialect.name == "sqlite":
            check = """insert into "{0}__words" ("{0}__words") values ('integrity-check')"""
            connection.exec_driver_sql(check.format(_table()))
        return counts


def _table() -> str:
    return str(Line.__tablename__)


def test_words_prefixes_and_phrases_find_the_rows_that_have_them(dispatcher_of: Callable[..., Dispatcher]) -> None:
    poems = dispatcher_of(Poem)
    do(poems, "write", lines=["the hot dog", "the dog is hot", "dogma", "狗 熱", "", "straße 7up"])
    assert found(poems, "dog") == ["the dog is hot", "the hot dog"]
    assert found(poems, "dog", kind="prefix") == ["dogma", "the dog is hot", "the hot dog"]
    assert found(poems, "hot", "dog", kind="phrase") == ["the hot dog"]
    assert found(poems, "狗") == ["狗 熱"] and found(poems, "straße", "7up", kind="phrase") == ["straße 7up"]
    assert found(poems, "cat") == found(poems, "do") == []
    assert found(poems, "dog", first=1) == ["the hot dog"]
    assert do(poems, "known", words=["dog", "dogs", "熱", "the"]) == ["dog", "the", "熱"]


def test_rows_that_something_else_finds_fit_by_their_own_words(dispatcher_of: Callable[..., Dispatcher]) -> None:
    poems = dispatcher_of(Poem)
    do(poems, "write", lines=["hot dog", "a dog of the dogs is a dog", "dogma", "狗 熱"])
    for kind, words, expected in (
        ("word", ["dog"], ["a dog of the dogs is a dog", "hot dog"]),
        ("prefix", ["do"], ["a dog of the dogs is a dog", "dogma", "hot dog"]),
        ("phrase", ["hot", "dog"], ["hot dog"]),
        ("word", ["狗"], ["狗 熱"]),
        ("word", ["do"], []),
    ):
        assert sorted(do(poems, "look", kind=kind, words=words)) == expected == found(poems, *words, kind=kind)


def test_common_is_what_more_rows_have_of_those_told_until_then(dispatcher_of: Callable[..., Dispatcher]) -> None:
    poems, other = dispatcher_of(Poem), Principal("test", "other")
    do(poems, "write", other, lines=["dog"] * 3)
    do(poems, "write", lines=["dog", "a dog", "cat"])  # 2
    do(poems, "strike", line="dog")
    do(poems, "write", lines=["dog", "cat"])  # 4
    assert do(poems, "common", words=["dog", "cat", "a"], most=1) == ["cat", "dog"]
    assert do(poems, "common", words=["dog", "cat", "a"], most=2) == ["dog"]  # those that are struck count
    assert do(poems, "common", words=["dog", "cat"], most=1, at=2) == ["dog"]
    many = [f"w{number}" for number in range(2_500)]
    assert do(poems, "common", words=[*many, "dog"], most=1) == ["dog"]
    assert do(poems, "common", words=["dog", "cat"], most=2, at=2) == do(poems, "common", words=[], most=0) == []
    assert found(poems, "dog", first=2, at=4) == ["a dog"] and found(poems, "dog", first=2, at=2) == ["a dog", "dog"]


def test_many_words_that_begin_alike_are_known(dispatcher_of: Callable[..., Dispatcher]) -> None:
    poems, other = dispatcher_of(Poem), Principal("test", "other")
    do(poems, "write", lines=["do dog done 狗 狗a " + " ".join(f"num{number}" for number in range(3_200))])
    do(poems, "write", other, lines=["dot num77777"])
    asked = [*(f"do{end}" for end in ["", "g", "t", "ne", *map(str, range(60))]), "狗", "狗a", "狗b", "cat"]
    assert do(poems, "known", words=asked) == sorted(["do", "dog", "done", "狗", "狗a"])
    with pytest.raises(ValueError, match="is no word"):
        poems.detached(LOCAL, "poem", poems.main(LOCAL, "poem"), 2).rows(Line).known(["a'b"])
    asked = [f"num{number}" for number in (*range(3_100, 3_300), 77777)]
    assert do(poems, "known", words=asked) == [f"num{number}" for number in range(3_100, 3_200)]


def test_a_select_is_made_once_for_all_terms_and_sessions(dispatcher_of: Callable[..., Dispatcher]) -> None:
    poems, other = dispatcher_of(Poem), Principal("test", "other")
    do(poems, "write", lines=["hot dog", "dog", "a hot day"])
    do(poems, "write", other, lines=["the hot dog of others", "cold"])
    assert do(poems, "find_both", words=["dog", "hot"]) == do(poems, "find_both", words=["hot", "dog"]) == ["hot dog"]
    assert do(poems, "find_both", words=["dog", "day"]) == []
    assert do(poems, "find_both", other, words=["hot", "dog"]) == ["the hot dog of others"]


def test_a_select_that_is_kept_tells_of_the_revision_that_is_looked_at(
    dispatcher_of: Callable[..., Dispatcher],
) -> None:
    poems = dispatcher_of(Poem)
    do(poems, "write", lines=["hot dog"])  # 2
    view = poems.detached(LOCAL, "poem", poems.main(LOCAL, "poem"), 2)
    do(poems, "write", lines=["dog"])
    do(poems, "strike", line="hot dog")
    kept = view.rows(Line).matching(Word("dog"), name="word")
    assert view.select(kept.keep(lines_of), kept.values) == [("hot dog",)]
    assert do(poems, "find_kept", word="dog") == ["dog"]
    assert view.select(kept.keep(lines_of), kept.values, at=1) == []
    with pytest.raises(TypeError, match="a function of a module"):
        do(poems, "keep_what_is_made_each_time")


def test_what_an_older_version_wrote_is_searched_as_it_is_now(dispatcher_of: Callable[..., Dispatcher]) -> None:
    poems = dispatcher_of(Poem)
    do(poems, "write", lines=["hot dog", "cat"])
    later = Dispatcher(poems.store, Registry([Later]))
    for _ in range(2):
        assert found(later, "dog") == do(later, "find_kept", word="dog") == ["old hot dog"]
        assert do(later, "known", words=["old", "dog", "dogs"]) == ["dog", "old"]
        do(later, "write", lines=["mouse"])


def test_short_rows_that_say_it_come_before_long_ones(dispatcher_of: Callable[..., Dispatcher]) -> None:
    poems = dispatcher_of(Poem)
    do(poems, "write", lines=["a dog went up the hill and down the other side of it", "dog", "a cat and a mouse"])
    assert do(poems, "find", kind="word", words=["dog"])[0] == "dog"


def test_what_is_struck_is_found_where_it_stood(dispatcher_of: Callable[..., Dispatcher]) -> None:
    poems = dispatcher_of(Poem)
    do(poems, "write", lines=["one", "one two"])
    do(poems, "strike", line="one")
    session = poems.main(LOCAL, "poem")
    assert found(poems, "one") == ["one two"] and found(poems, "one", at=2) == ["one", "one two"]
    poems.dispatch(Call(principal=LOCAL, world="poem", action="undo", session=session))
    assert found(poems, "one") == ["one", "one two"] and found(poems, "one", at=3) == ["one two"]
    do(poems, "write_and_strike", line="three")
    assert found(poems, "three") == [] and documents(poems) == {3}  # one of them stood twice


def test_sessions_find_their_own_and_forks_and_the_erased_leave_nothing_wrong(
    dispatcher_of: Callable[..., Dispatcher],
) -> None:
    poems, other = dispatcher_of(Poem), Principal("test", "other")
    do(poems, "write", lines=["one", "one two"])
    do(poems, "write", other, lines=["one three"])
    assert found(poems, "one") == ["one", "one two"]
    assert found(poems, "one", principal=other) == ["one three"]
    assert do(poems, "known", other, words=["two", "three"]) == ["three"]
    fork = poems.fork(LOCAL, poems.main(LOCAL, "poem")).session
    do(poems, "write", session=fork, lines=["one four"])
    assert found(poems, "one", session=fork) == ["one", "one four", "one two"]
    assert documents(poems) == {6}
    poems.erase(LOCAL, fork)
    assert found(poems, "one") == ["one", "one two"] and documents(poems) == {3}


def test_an_index_is_filled_with_what_there_is_and_may_be_removed(dispatcher_of: Callable[..., Dispatcher]) -> None:
    poems = dispatcher_of(Poem)
    do(poems, "write", lines=["one", "", "one two"])
    with poems.store.connection() as connection:
        search.drop(connection, _table())
        assert search.missing(connection, table_of(Line))
        search.create(connection, _table(), "words")
    assert found(poems, "one") == ["one", "one two"] and documents(poems) == {2}


def test_a_term_is_letters_and_digits_alone() -> None:
    for text in ("", "a b", 'a"b', "a'b", "a*", "a\\b", "ab\n"):
        for make in (Word, Prefix, lambda text: Phrase((text,))):
            with pytest.raises(ValueError, match="no word"):
                make(text)
    with pytest.raises(ValueError, match="one word at least"):
        Phrase(())


def test_a_declaration_that_cannot_be_is_refused() -> None:
    class Plain(Row, table=True):
        __search__ = "text"
        text: str = Field(primary_key=True)

    class Missing(HistoryRow, table=True):
        __search__ = "words"

    for wrong, reason in ((Missing, "which is no column of text"), (Plain, "is no HistoryRow")):
        with pytest.raises(DefinitionError, match=reason):

            class Some(World, rows=[wrong]):
                """Wrong."""


def test_a_worlds_migrations_make_the_index_and_take_it_back(store_of: Callable[..., Store]) -> None:
    store, world = store_of(), Graph.definition
    upgrade(store, [world])
    assert behind(store, [world]) == []
    with store.connection() as connection:
        options = {"include_object": lambda thing, name, kind, *_: kind != "table" or name in world.tables}
        context = MigrationContext.configure(connection, opts={**options, "compare_type": types_differ})
        assert compare_metadata(context, SQLModel.metadata) == []
        assert not search.missing(connection, table_of(Fact))
        command.downgrade(config(connection, world), "base")
        assert not [name for name in inspect(connection).get_table_names() if name.startswith("graph__")]
    upgrade(store, [world])
    with store.connection() as connection:
        assert not search.missing(connection, table_of(Fact))


def test_a_table_that_is_to_be_searched_from_now_on_gets_its_index(store_of: Callable[..., Store]) -> None:
    store, poems = store_of(), Registry([Poem]).worlds
    upgrade(store, poems.values())
    with store.connection() as connection:
        search.drop(connection, _table())
    assert behind(store, poems.values()) == ["poem"]
    upgrade(store, poems.values())
    assert behind(store, poems.values()) == []
