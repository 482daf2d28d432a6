"""The nine tools of the memory server on both databases: what they keep, in which order, and what they answer."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import action
from engine.dispatch import Dispatcher
from engine.errors import InvalidArguments, LimitExceeded, Refused
from engine.limits import DEFAULT, Limits
from engine.operations import Call
from engine.types import LOCAL, Outcome
from tests.worlds.graph.memory_model import Model, NoEntity
from tests.worlds.graph.sequences import ARGUMENTS, calls
from worlds.graph import Graph
from worlds.graph.facts import Fact, Import, alias
from worlds.graph.memory.substring import DOTTED, KELVIN, patterns

Calls = Callable[..., Any]
READS = {"read_graph", "search_nodes", "open_nodes"}


class Named(Graph, name="graph", rows=[Fact, Import]):
    """A graph in which a test gives other names."""

    @action
    def same(self, name: str, of: str) -> None:
        """Say that a name is another's."""
        self.rows(Fact).add_all([alias(name, of)])


def outcome(dispatcher: Dispatcher, tool: str, session: str | None = None, **arguments: Any) -> Outcome:
    call = Call(principal=LOCAL, world="graph", action=tool, arguments=arguments, session=session)
    if tool in READS:
        if session is None:
            dispatcher.main(LOCAL, "graph")
        return dispatcher.read(call)
    return dispatcher.dispatch(call)


@pytest.fixture
def dispatcher(dispatcher_of: Callable[..., Dispatcher]) -> Dispatcher:
    """A dispatcher of the graph."""
    return dispatcher_of(Graph)


@pytest.fixture
def told(dispatcher: Dispatcher) -> Calls:
    """Calls a tool; its structured content."""
    return lambda tool, **arguments: outcome(dispatcher, tool, **arguments).value


def entity(name: str, type: str = "person", *observations: str) -> dict[str, Any]:
    return {"name": name, "entityType": type, "observations": [*observations]}


def relation(source: str, type: str, target: str) -> dict[str, Any]:
    return {"from": source, "to": target, "relationType": type}


# what each tool does, row by row


def test_entities_that_are_there_are_ignored_and_the_new_ones_told(told: Calls) -> None:
    told("create_entities", entities=[entity("Ada", "person", "likes tea")])
    again = [entity("Ada", "place", "ignored"), entity("Bob")]
    assert told("create_entities", entities=again) == {"entities": [entity("Bob")]}
    assert told("read_graph")["entities"] == [entity("Ada", "person", "likes tea"), entity("Bob")]


def test_two_of_one_name_in_one_call_are_two_and_the_first_is_observed(told: Calls) -> None:
    both = [entity("Ada", "person", "x", "x"), entity("Ada", "place", "y")]
    assert told("create_entities", entities=both) == {"entities": both}
    found = told("add_observations", observations=[{"entityName": "Ada", "contents": ["x", "y", "y"]}])
    assert found == {"results": [{"entityName": "Ada", "addedObservations": ["y", "y"]}]}
    assert told("open_nodes", names=["Ada"])["entities"] == [entity("Ada", "person", "x", "x", "y", "y"), both[1]]
    told("delete_observations", deletions=[{"entityName": "Ada", "observations": ["y"]}])
    assert told("read_graph")["entities"] == both
    assert told("search_nodes", query="PLACE")["entities"] == [both[1]]
    told("delete_entities", entityNames=["Ada"])
    assert told("read_graph") == {"entities": [], "relations": []}


def test_relations_need_nothing_at_their_ends_and_are_told_once(told: Calls) -> None:
    likes = relation("nobody", "likes", "nothing")
    assert told("create_relations", relations=[likes, likes]) == {"relations": [likes, likes]}
    other = relation("nobody", "Likes", "nothing")
    assert told("create_relations", relations=[likes, other]) == {"relations": [other]}
    assert told("read_graph") == {"entities": [], "relations": [likes, likes, other]}
    assert told("open_nodes", names=["nobody"]) == {"entities": [], "relations": []}
    told("delete_relations", relations=[likes, relation("no", "such", "thing")])
    assert told("read_graph")["relations"] == [other]
    empty = relation("", "", "")
    assert told("create_relations", relations=[empty]) == {"relations": [empty]}
    assert told("create_relations", relations=[empty]) == {"relations": []}
    told("delete_relations", relations=[empty])
    assert told("read_graph")["relations"] == [other]


def test_observing_what_is_not_there_is_refused_and_undoes_the_whole_call(told: Calls) -> None:
    told("create_entities", entities=[entity("Ada")])
    wanted = [{"entityName": "Ada", "contents": ["kept?"]}, {"entityName": "Bob", "contents": []}]
    with pytest.raises(Refused, match=r"^Entity with name Bob not found$"):
        told("add_observations", observations=wanted)
    assert told("read_graph")["entities"] == [entity("Ada")]


def test_deleting_cascades_and_is_silent_and_what_comes_again_is_new(told: Calls) -> None:
    told("create_entities", entities=[entity("Ada", "person", "old"), entity("Bob")])
    told("create_relations", relations=[relation("Ada", "knows", "Bob"), relation("Bob", "knows", "Bob")])
    gone = {"success": True, "message": "Entities deleted successfully"}
    assert told("delete_entities", entityNames=["Ada", "never there"]) == gone
    assert told("read_graph") == {"entities": [entity("Bob")], "relations": [relation("Bob", "knows", "Bob")]}
    told("create_entities", entities=[entity("Ada")])
    assert told("read_graph")["entities"] == [entity("Bob"), entity("Ada")]
    assert told("delete_entities", entityNames=["never there"]) == gone
    deleted = {"success": True, "message": "Observations deleted successfully"}
    assert told("delete_observations", deletions=[{"entityName": "no", "observations": ["x"]}]) == deleted


def test_searching_finds_parts_of_words_in_any_case_and_relations_with_one_end(told: Calls) -> None:
    told("create_entities", entities=[entity("Ada", "Person", "plays CHESS"), entity("Bob", "person"), entity("Tea")])
    told("create_relations", relations=[relation("Ada", "likes", "Tea"), relation("Bob", "likes", "Cake")])
    found = told("search_nodes", query="hess")
    assert found == {
        "entities": [entity("Ada", "Person", "plays CHESS")],
        "relations": [relation("Ada", "likes", "Tea")],
    }
    assert [one["name"] for one in told("search_nodes", query="PERSON")["entities"]] == ["Ada", "Bob", "Tea"]
    assert told("search_nodes", query="likes")["entities"] == []
    assert len(told("search_nodes", query="")["entities"]) == 3


def test_opening_skips_what_is_missing(told: Calls) -> None:
    told("create_entities", entities=[entity("Ada"), entity("Bob")])
    told("create_relations", relations=[relation("Bob", "knows", "Eve"), relation("Ada", "knows", "Bob")])
    found = told("open_nodes", names=["Bob", "Eve", "Bob", "bob"])
    assert found == {
        "entities": [entity("Bob")],
        "relations": [relation("Bob", "knows", "Eve"), relation("Ada", "knows", "Bob")],
    }


def test_texts_are_those_of_json_stringify(dispatcher: Dispatcher) -> None:
    odd = entity('q"\\\b\f\n\r\t\x1f\x7f\u2028é\u05d0\u202e', "", "e\u0301", "\U0001f600")
    lines = [
        "[",
        "  {",
        '    "name": "q\\"\\\\\\b\\f\\n\\r\\t\\u001f\x7f\u2028é\u05d0\u202e",',
        '    "entityType": "",',
        '    "observations": [',
        '      "e\u0301",',
        '      "\U0001f600"',
        "    ]",
        "  }",
        "]",
    ]
    made = outcome(dispatcher, "create_entities", entities=[odd])
    assert [block["text"] for block in made.content] == ["\n".join(lines)]
    empty = outcome(dispatcher, "search_nodes", query="nowhere")
    assert [block["text"] for block in empty.content] == ['{\n  "entities": [],\n  "relations": []\n}']
    assert outcome(dispatcher, "read_graph").value["entities"] == [odd]


# any sequence of calls


@given(st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sequence_of_calls_gives_what_plain_lists_give(dispatcher: Dispatcher, data: st.DataObject) -> None:
    session = dispatcher.start(LOCAL, "graph").session
    model = Model()
    for tool, arguments in data.draw(calls):
        before = json.dumps(model.read_graph())
        try:
            wanted = model.tools[tool](**arguments)
        except NoEntity as error:
            with pytest.raises(Refused) as refused:
                outcome(dispatcher, tool, session, **arguments)
            assert refused.value.reason == str(error)
            continue
        found = outcome(dispatcher, tool, session, **arguments)
        assert found.value == wanted, (tool, arguments)
        if tool not in READS:
            changed = json.dumps(model.read_graph()) != before
            assert (found.change is not None) == changed, (tool, arguments)
    assert outcome(dispatcher, "read_graph", session).value == model.read_graph()


def test_the_strategies_know_each_tool() -> None:
    assert set(ARGUMENTS) == set(Model().tools) <= set(Graph.definition.actions)


def test_undo_takes_back_what_was_told_last_and_nothing_that_changed_nothing(
    dispatcher: Dispatcher, told: Calls
) -> None:
    told("create_entities", entities=[entity("Ada", "person", "x")])
    told("delete_observations", deletions=[{"entityName": "Ada", "observations": ["x"]}])
    told("create_entities", entities=[entity("Ada")])
    told("delete_entities", entityNames=["Bob"])
    outcome(dispatcher, "undo")
    assert told("read_graph")["entities"] == [entity("Ada", "person", "x")]


# other names


def test_other_names_are_read_and_told_of_as_what_they_stand_for(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Named)

    def told(tool: str, **arguments: Any) -> Any:
        return outcome(dispatcher, tool, **arguments).value

    told("create_entities", entities=[entity("NYC", "place", "big", "loud"), entity("New York", "city", "big")])
    told("create_relations", relations=[relation("NYC", "in", "USA"), relation("New York", "in", "USA")])
    _alias(dispatcher, "NYC", "New York")
    _alias(dispatcher, "Big Apple", "NYC")
    merged = {
        "entities": [entity("New York", "city", "big", "loud")],
        "relations": [relation("New York", "in", "USA")],
    }
    assert told("read_graph") == merged
    assert told("open_nodes", names=["Big Apple"]) == merged
    assert told("search_nodes", query="apple") == merged == told("search_nodes", query="nyc")
    assert told("create_entities", entities=[entity("Big Apple")]) == {"entities": []}
    assert told("create_relations", relations=[relation("Big Apple", "in", "USA")]) == {"relations": []}
    added = told("add_observations", observations=[{"entityName": "Big Apple", "contents": ["loud", "old"]}])
    assert added == {"results": [{"entityName": "Big Apple", "addedObservations": ["old"]}]}
    told("delete_observations", deletions=[{"entityName": "New York", "observations": ["big"]}])
    assert told("open_nodes", names=["NYC"])["entities"] == [entity("New York", "city", "loud", "old")]
    told("delete_relations", relations=[relation("NYC", "in", "USA")])
    assert told("read_graph")["relations"] == []
    told("delete_entities", entityNames=["NYC"])
    assert told("read_graph")["entities"] == []
    told("create_entities", entities=[entity("Big Apple")])
    assert told("read_graph")["entities"] == [entity("Big Apple")]


def _alias(dispatcher: Dispatcher, name: str, of: str) -> None:
    """Say in the database that a name is another's, as `merge` does."""
    call = Call(principal=LOCAL, world="graph", action="same", arguments={"name": name, "of": of})
    dispatcher.dispatch(call)


# odd texts


def test_code_points_are_kept_as_they_are(told: Calls) -> None:
    names = ["é", "e\u0301", "\u05d0\u202eabc", "\u200f", "\ufeff", "\U0010ffff", "A\u030a", "\u212b"]
    told("create_entities", entities=[entity(name) for name in names])
    assert [one["name"] for one in told("read_graph")["entities"]] == names
    assert told("open_nodes", names=["e\u0301"])["entities"] == [entity("e\u0301")]
    assert [one["name"] for one in told("search_nodes", query="É")["entities"]] == ["é"]
    assert [one["name"] for one in told("search_nodes", query="\u00e5")["entities"]] == ["\u212b"]


def test_what_no_database_keeps_is_refused_by_name(told: Calls) -> None:
    told("create_entities", entities=[entity("Ada")])
    for tool, arguments in (
        ("create_entities", {"entities": [entity("a\0b")]}),
        ("create_relations", {"relations": [relation("a", "\0", "b")]}),
        ("add_observations", {"observations": [{"entityName": "Ada", "contents": ["\0"]}]}),
    ):
        with pytest.raises(Refused, match="NUL"):
            told(tool, **arguments)
    for tool, argument in (("create_entities", [entity("\ud800")]), ("open_nodes", ["\ud800"])):
        with pytest.raises(InvalidArguments, match="lone surrogate"):
            told(tool, **{"entities" if tool == "create_entities" else "names": argument})
    assert told("search_nodes", query="\0") == {"entities": [], "relations": []}
    assert told("open_nodes", names=["\0"]) == {"entities": [], "relations": []}
    told("delete_entities", entityNames=["\0"])
    told("delete_observations", deletions=[{"entityName": "\0", "observations": ["\0"]}])
    told("delete_relations", relations=[relation("\0", "\0", "\0")])
    assert told("read_graph")["entities"] == [entity("Ada")]


def test_names_and_texts_may_be_as_long_as_a_call_and_types_may_not(told: Calls) -> None:
    long = "".join(map(chr, range(0x4E00, 0x9FA5))) * 3
    for value in (entity(long), entity("type", long[:500]), entity("text", "person", long)):
        told("create_entities", entities=[value])
        assert told("open_nodes", names=[value["name"]])["entities"] == [value]
    told("create_relations", relations=[relation(long, long[:500], long)])
    assert len(told("search_nodes", query=long[100:20_000])["entities"]) == 2
    assert len(told("search_nodes", query=long[100:500])["entities"]) == 3
    with pytest.raises(Refused, match="A type has 501 characters; at most 500"):
        told("create_relations", relations=[relation("a", long[:501], "b")])
    with pytest.raises(LimitExceeded, match="arguments"):
        told("create_entities", entities=[entity(long * 6)])


@pytest.mark.parametrize("query", ["kİ", "i\u0307", "σ", "ς", "ß", "мир", "МИР", "Ķ", "a%b", "a_b", "a/b", "ǆ", "éé"])
def test_searching_misses_no_case(told: Calls, query: str) -> None:
    texts = ["Kİ", "\u212aİ", "ΟΣ", "οσ", "ẞ", "Мир труд", "мИр", "ķ", "A%B", "aXb", "A_B", "A/B", "ǅ", "Éé", "éÉ"]
    told("create_entities", entities=[entity(str(number), "", text) for number, text in enumerate(texts)])
    found = [one["observations"][0] for one in told("search_nodes", query=query)["entities"]]
    assert found == [text for text in texts if query.lower() in text.lower()]


def test_only_two_characters_beyond_ascii_have_a_lower_case_that_begins_in_it() -> None:
    for char in map(chr, [*range(0x80, 0xD800), *range(0xE000, 0x110000)]):
        low = char.lower()
        if low != char and char not in (KELVIN, DOTTED):
            assert len(low) == 1 and not low.isascii() and low.upper() != low, hex(ord(char))
    assert patterns("100%_/ix") == ["100/%/_//_x"] and len(patterns("éèê мир")) == 8


# answers that are too large


@pytest.mark.parametrize(
    ("tool", "arguments", "instead"),
    [
        ("read_graph", {}, "overview says .* search finds .* subgraph gives"),
        ("search_nodes", {"query": "person"}, "search answers by the page, and subgraph with a query"),
        ("open_nodes", {"names": [f"n{number}" for number in range(60)]}, "open fewer names at once, or see with"),
    ],
)
def test_an_answer_that_is_too_large_says_what_to_call_instead(
    dispatcher_of: Callable[..., Dispatcher], tool: str, arguments: dict[str, Any], instead: str
) -> None:
    dispatcher = dispatcher_of(Graph, limits=_small())
    for first in (0, 30):
        made = [entity(f"n{number}", "person", "x" * 20) for number in range(first, first + 30)]
        outcome(dispatcher, "create_entities", entities=made)
    with pytest.raises(Refused, match=f"^The answer of {tool} would be longer than 8,000 bytes.*{instead}") as refused:
        outcome(dispatcher, tool, **arguments)
    assert refused.value.rule == "result_too_large"
    assert len(outcome(dispatcher, "open_nodes", names=["n1", "n2"]).value["entities"]) == 2


def _small() -> Limits:
    return Limits(**{**{name: getattr(DEFAULT, name) for name in DEFAULT.__slots__}, "result": 8_000})
