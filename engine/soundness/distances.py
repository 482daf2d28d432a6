"""How far states are from each other at least, when nothing but the next transition is asked for."""

from collections.abc import Mapping

import networkx

from engine.charts import DONE, Chart, Transition
from engine.statechart import entered


def steps_to(chart: Chart, state: str) -> Mapping[str, int]:
    """By state, the fewest steps that can make another active; those that cannot are not in it.

    No way is shorter than this: what comes by itself counts nothing, and which states are active beside is not asked.
    What a history may recall is not among what its default leads to: that was active before.
    """
    ways: networkx.DiGraph[str] = networkx.DiGraph()
    ways.add_nodes_from(chart.node)
    for way in chart.transitions:
        weight = int(not _may_come_by_itself(chart, way))
        for name in _entered(chart, way):
            known = ways.get_edge_data(name, way.source, {"weight": 1})["weight"]
            ways.add_edge(name, way.source, weight=min(weight, known))
    found: dict[str, int] = networkx.single_source_dijkstra_path_length(ways, state)
    return found


def _may_come_by_itself(chart: Chart, way: Transition) -> bool:
    return not way.events or any(way.hears(f"{DONE}{state}") for state in chart.states)


def _entered(chart: Chart, way: Transition) -> set[str]:
    return set().union(*(entered(chart, (target,)) for target in (*way.targets, *way.choices)))
