"""Any sequence of telling, taking back, superseding, merging and undoing, held against a plain list with two times."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engine import action
from engine.dispatch import Dispatcher
from engine.errors import Refused
from engine.operations import Call
from engine.types import Principal
from tests.worlds.graph.time_model import FOREVER, Model
from worlds.graph import Graph
from worlds.graph.facts import Fact, Import
from worlds.graph.memory.entities import everything
from worlds.graph.times import AsOf, ValidAt, view_of
from worlds.graph.view import instant

SINGLE = "lives in"
PEOPLE = ["Ann", "Bob", "Cid", "Dot"]
NAMES, SUBJECTS = st.sampled_from(PEOPLE), st.sampled_from(PEOPLE[:2])
TYPES = st.sampled_from(["person", "robot"])
RELATIONS = st.sampled_from([SINGLE, "knows"])
TEXTS = st.sampled_from(["tall", "short"])
YEARS = st.sampled_from([None, "2001", "2004", "2007", "2030"])
MOMENTS = ["2000", "2001", "2004", "2005", "2008", None, "2030", "2040"]


class Timed(Graph, name="graph", rows=[Fact, Import]):
    """A graph that shows all of itself at any time."""

    @action(read_only=True)
    def at_times(self, as_of: list[AsOf], valid_at: list[ValidAt]) -> list[list[Any]]:
        """The whole graph at each of these revisions, as it held at each of these times."""
        return [[everything(view_of(self, then, time)) for time in valid_at] for then in as_of]


def time(year: str | None) -> str | None:
    return None if year is None else f"{year}-01-01T00:00:00.000000+00:00"


def plain(found: Any) -> Any:
    entities = sorted((one["name"], one["entityType"], tuple(sorted(one["observations"]))) for one in found["entities"])
    return entities, sorted((one["from"], one["relationType"], one["to"]) for one in found["relations"])


def facts() -> st.SearchStrategy[dict[str, Any]]:
    when = {"valid_from": YEARS, "valid_to": st.none() | YEARS}
    return st.one_of(
        st.fixed_dictionaries({"kind": st.just("entity"), "name": SUBJECTS, "type": TYPES, **when}),
        st.fixed_dictionaries({"kind": st.just("observation"), "name": SUBJECTS, "text": TEXTS, **when}),
        st.fixed_dictionaries({"kind": st.just("relation"), "from": SUBJECTS, "type": RELATIONS, "to": NAMES, **when}),
    ).filter(lambda one: one["valid_from"] is None or one["valid_to"] is None or one["valid_from"] < one["valid_to"])


def columns(fact: dict[str, Any]) -> tuple[str, str, str, str]:
    """Kind, name, type and object of a fact."""
    name = fact["from"] if fact["kind"] == "relation" else fact["name"]
    return fact["kind"], name, fact.get("type", ""), fact.get("to", fact.get("text", ""))


def period(fact: dict[str, Any]) -> tuple[str, str]:
    return time(fact["valid_from"]) or "", time(fact["valid_to"]) or FOREVER


class TwoTimes(RuleBasedStateMachine):
    """A graph beside its model. Each change takes an hour."""

    dispatcher: Dispatcher
    people = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).people += 1
        self.me = Principal("test", f"person {self.people}")
        self.session = self.dispatcher.start(self.me, "graph", main=True).session
        self.model, self.steps = Model(SINGLE), 0
        people = [{"kind": "entity", "name": name, "type": "person"} for name in PEOPLE[:-1]]
        self.do("assert_facts", facts=people, functional=[SINGLE])
        self.model.begin()
        for name in PEOPLE[:-1]:
            self.model.tell("", "entity", name, "person", "")
        later = {"valid_from": "2030", "valid_to": None}
        self.tell_one({"kind": "relation", "from": "Ann", "type": SINGLE, "to": "Bob", **later})
        self.tell_one({"kind": "entity", "name": "Bob", "type": "robot", **later})
        self.tell_one({"kind": "entity", "name": "Dot", "type": "robot", "valid_from": None, "valid_to": "2001"})
        self.relate("Ann", SINGLE, "Cid")

    @initialize(chained=st.booleans())
    def merged(self, chained: bool) -> None:
        if chained:
            self.merge_twice(["Cid", "Bob", "Ann"], gone=False)

    def do(self, tool: str, **arguments: Any) -> Any:
        """Call a tool an hour later; `now` is the time of that."""
        self.dispatcher.store.offset += timedelta(hours=1)
        call = Call(principal=self.me, world="graph", action=tool, arguments=arguments, session=self.session)
        outcome = self.dispatcher.dispatch(call)
        self.now = instant(outcome.change.at) if outcome.change else instant(self.dispatcher.store.now())
        return outcome.value

    def settle(self, changed: bool) -> None:
        """Take back that a change began which changed nothing."""
        if not changed:
            self.model.undoable.pop()
            self.model.revision -= 1

    def refused(self, tool: str, **arguments: Any) -> None:
        with pytest.raises(Refused):
            self.do(tool, **arguments)

    def is_there(self, name: str) -> bool:
        now = instant(self.dispatcher.store.now())
        return any(one.kind == "entity" for one in self.model.about(name, now))

    @rule(some=st.lists(facts(), min_size=1, max_size=5))
    def tell(self, some: list[dict[str, Any]]) -> None:
        for fact in some:
            self.tell_one(fact)

    def tell_one(self, fact: dict[str, Any]) -> None:
        kind, name, type, object = columns(fact)
        if kind == "observation" and not self.is_there(name):
            self.refused("assert_facts", facts=[fact])
            return
        self.do("assert_facts", facts=[fact])
        redoable = [*self.model.redoable]
        self.model.begin()
        changed = self.model.tell(self.now, kind, name, type, object, *period(fact))
        self.settle(changed)
        if not changed:
            self.model.redoable = redoable

    @rule(name=NAMES, type=TYPES, text=TEXTS)
    def create(self, name: str, type: str, text: str) -> None:
        self.do("create_entities", entities=[{"name": name, "entityType": type, "observations": [text]}])
        whole = self.model.whole(name, self.now)
        held = [one for one in self.model.about(name, self.now) if one.start <= self.now < one.end]
        if not any(one.kind == "entity" and self.model.whole(one.name, self.now) == whole for one in held):
            self.model.begin()
            self.model.tell(self.now, "entity", name, type, "")
            self.model.add("observation", name, "", text)

    @rule(name=SUBJECTS, type=RELATIONS, to=NAMES)
    def relate(self, name: str, type: str, to: str) -> None:
        self.do("create_relations", relations=[{"from": name, "relationType": type, "to": to}])
        held = [one for one in self.model.standing() if one.start <= self.now < one.end]
        if any(self.model.same(one, "relation", name, type, to, self.now) and self.leads(one, to) for one in held):
            return
        self.model.begin()
        if type == SINGLE:
            self.model.tell(self.now, "relation", name, type, to)
        else:
            self.model.add("relation", name, type, to)

    def leads(self, one: Any, to: str) -> bool:
        return self.model.whole(one.object, self.now) == self.model.whole(to, self.now)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        self.do("delete_entities", entityNames=[name])
        gone = self.model.about(name, self.now)
        if gone:
            self.model.begin()
            for one in gone:
                self.model.end(one)

    @precondition(lambda self: self.model.standing())
    @rule(data=st.data())
    def retract(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.model.standing()), "retracted")
        found = self.do("retract_facts", facts=[self.match(one)])
        told = [each for each in self.model.standing() if self.fits(each, one)]
        gone = [*told]
        if one.kind == "entity":
            about = self.model.about(one.name, self.now)
            whole = self.model.whole(one.name, self.now)
            left = [e for e in about if e.kind == "entity" and self.model.whole(e.name, self.now) == whole]
            if all(each in told for each in left):
                gone += [each for each in about if each not in told]
        assert found["count"] == len(gone)
        self.model.begin()
        for each in gone:
            self.model.end(each)

    @precondition(lambda self: any(one.kind != "alias" for one in self.model.standing()))
    @rule(data=st.data(), year=YEARS, fact=facts())
    def supersede(self, data: st.DataObject, year: str | None, fact: dict[str, Any]) -> None:
        some = [one for one in self.model.standing() if one.kind != "alias"]
        alike = [one for one in some if one.kind == fact["kind"]]
        one = data.draw(st.sampled_from(alike or some), "superseded")
        by = {**fact, "valid_from": None}
        arguments = {"fact": self.match(one), "by": by, "valid_from": year}
        self.dispatcher.store.offset += timedelta(hours=1)
        then = time(year) or instant(self.dispatcher.store.now())
        kind, name, type, object = columns(fact)
        end = time(fact["valid_to"]) or FOREVER
        several = sum(self.fits(each, one) for each in self.model.standing()) > 1
        if several or kind != one.kind or one.start >= then or one.end <= then or end <= then:
            self.refused("supersede", **arguments)
            return
        if kind == "observation" and not self.is_there(name):
            self.refused("supersede", **arguments)
            return
        self.do("supersede", **arguments)
        then = time(year) or self.now
        self.model.begin()
        self.model.end(one)
        self.model.add(one.kind, one.name, one.type, one.object, one.start, then)
        self.model.tell(self.now, kind, name, type, object, then, end)

    @rule(name=NAMES, into=NAMES)
    def merge(self, name: str, into: str) -> None:
        now = instant(self.dispatcher.store.now())
        one, whole = self.model.whole(name, now), self.model.whole(into, now)

        def there(name: str) -> bool:
            held = [each for each in self.model.standing() if each.start <= now < each.end and each.kind == "entity"]
            return any(self.model.whole(each.name, now) == name for each in held)

        if not there(one) or not there(whole) or (one == whole and (name == into or name == one)):
            self.refused("merge", names=[name], into=into)
            return
        self.do("merge", names=[name], into=into)
        if one != whole:
            self.model.begin()
            self.model.add("alias", one, "", whole)

    @rule(names=st.permutations(PEOPLE), gone=st.booleans())
    def merge_twice(self, names: list[str], gone: bool) -> None:
        self.merge(names[0], names[1])
        self.merge(names[1], names[2])
        if gone:
            self.delete(names[0])

    @precondition(lambda self: len(self.model.undoable) > 1)
    @rule()
    def undo(self) -> None:
        self.do("undo")
        self.model.undo()

    @precondition(lambda self: self.model.redoable)
    @rule()
    def redo(self) -> None:
        self.do("redo")
        self.model.redo()

    @invariant()
    def what_stands_agrees(self) -> None:
        self.compare([None], MOMENTS[self.steps % 2 :: 2])
        self.steps += 1

    def teardown(self) -> None:
        self.compare([*range(1, self.model.revision + 1)], MOMENTS[self.steps % 3 :: 3])

    def compare(self, revisions: list[int | None], moments: list[str | None]) -> None:
        now, arguments = instant(self.dispatcher.store.now()), {"valid_at": moments, "as_of": revisions}
        call = Call(principal=self.me, world="graph", action="at_times", arguments=arguments, session=self.session)
        outcome = self.dispatcher.read(call)
        assert outcome.revision == self.model.revision
        for revision, found in zip(revisions, outcome.value, strict=True):
            expected = [self.model.seen(time(one) or now, revision) for one in moments]
            assert [plain(one) for one in found] == expected, revision

    def match(self, one: Any) -> dict[str, Any]:
        """A fact as retract_facts and supersede are told of it."""
        whole = {name: self.model.whole(name, instant(self.dispatcher.store.now())) for name in PEOPLE}
        found = {"kind": one.kind, "name": one.name if one.kind == "alias" else whole[one.name]}
        found |= {"text": one.object} if one.kind == "observation" else {}
        found |= {"to": whole[one.object]} if one.kind in ("relation", "alias") else {}
        found |= {"type": one.type} if one.kind in ("relation", "entity") else {}
        found |= {"valid_from": one.start} if one.start else {}
        return found | ({"valid_to": one.end} if one.end != FOREVER else {})

    def fits(self, each: Any, one: Any) -> bool:
        """Whether a fact fits what `match` says of another."""
        whole = self.model.whole
        now = instant(self.dispatcher.store.now())
        if each.kind != one.kind or (one.kind in ("relation", "entity") and each.type != one.type):
            return False
        if one.kind == "alias":
            same_name, same_object = each.name == one.name, whole(each.object, now) == whole(one.object, now)
        else:
            same_name = whole(each.name, now) == whole(one.name, now)
            same_object = each.object == one.object or (
                one.kind == "relation" and whole(each.object, now) == whole(one.object, now)
            )
        starts = not one.start or each.start == one.start
        return bool(same_name and same_object and starts and (one.end == FOREVER or each.end == one.end))


def test_every_read_of_every_time_agrees_with_a_plain_list(dispatcher_of: Callable[..., Dispatcher]) -> None:
    class Machine(TwoTimes):
        dispatcher = dispatcher_of(Timed)

    checks = settings(
        max_examples=15,
        stateful_step_count=8,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    run_state_machine_as_test(Machine, settings=checks)
