"""Graphs for tests: those that books and papers know, told as facts."""

from collections.abc import Callable, Iterable
from typing import Any

import networkx as nx

from engine import action
from engine.dispatch import Dispatcher
from engine.operations import Call
from engine.types import LOCAL, Outcome
from worlds.graph import Graph
from worlds.graph.facts import Fact, Import, entity, relation

Make = Callable[..., Dispatcher]


class Telling(Graph, name="graph", rows=[Fact, Import]):
    """A graph that is told whatever facts there are."""

    @action
    def tell(self, facts: list[dict[str, Any]]) -> None:
        """Tell facts."""
        self.rows(Fact).add_all(facts)


def call(dispatcher: Dispatcher, name: str, /, **arguments: Any) -> Outcome:
    return dispatcher.dispatch(Call(principal=LOCAL, world="graph", action=name, arguments=arguments))


def value(dispatcher: Dispatcher, name: str, /, **arguments: Any) -> Any:
    return call(dispatcher, name, **arguments).value


def told(dispatcher_of: Make, facts: Iterable[dict[str, Any]]) -> Dispatcher:
    """A graph of these facts."""
    dispatcher, facts = dispatcher_of(Telling), list(facts)
    for at in range(0, len(facts), 1_000):
        call(dispatcher, "tell", facts=facts[at : at + 1_000])
    return dispatcher


def facts_of(graph: nx.Graph, type: str = "person", relates: str = "knows") -> list[dict[str, Any]]:
    """A graph as facts, each node by its name."""
    nodes = [entity(str(node), type) for node in graph]
    return [*nodes, *(relation(str(one), relates, str(other)) for one, other in graph.edges)]


def karate() -> nx.Graph:
    """Zachary's karate club, its members numbered from 1 as in the paper, without how often they met."""
    club = nx.karate_club_graph()
    return nx.Graph([(one + 1, other + 1) for one, other in club.edges])
