"""What stands out in a graph: its hubs, its communities, and what alone holds parts of it together.

Graphs are lists: by place, the places of what each is related to, whichever way. What would take too long is worked
out in part; each answer says whether it is exact, and how it was come by if not.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

import networkx as nx

Neighbours = Sequence[Sequence[int]]

DAMPING, CLOSE = 0.85, 1e-6
"""Of PageRank: how often one goes on along a relation; by how much scores still change, each, when they are told."""
STEPS = 5_000_000
"""Along relations, that PageRank takes."""
PAIRS = 6_000
"""Pairs of neighbours, up to which communities are found in the whole graph."""
SAMPLE = 4_000
"""Entities, at most, of the part in which they are found otherwise."""
HELD = 30_000
"""Pairs of neighbours, up to which bridges are found."""
HASTY = 8
"""By how much these bounds are lower where there was no time to read the whole graph."""
SEED = 20260803


@dataclass(frozen=True, slots=True)
class Ranks:
    """By place, how likely one is there who follows relations at random; `left` is how much they still change."""

    scores: Sequence[float]
    rounds: int
    left: float

    @property
    def exact(self) -> bool:
        """Whether they had come to rest."""
        return self.left < CLOSE * max(len(self.scores), 1)


@dataclass(frozen=True, slots=True)
class Communities:
    """Places that are related more among each other than with others, the largest first; of how many places."""

    groups: Sequence[Sequence[int]]
    looked_at: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Held:
    """What alone holds parts together: pairs with how many places hang by each; places with the parts they join.

    `skipped` is how many places the part has that was too large to look into.
    """

    bridges: Sequence[tuple[int, int, int]]
    joints: Sequence[tuple[int, int]]
    skipped: int

    @property
    def exact(self) -> bool:
        """Whether the whole graph was looked into."""
        return not self.skipped


def pairs(neighbours: Neighbours) -> int:
    """How many pairs of neighbours there are."""
    return sum(map(len, neighbours)) // 2


def ranks(neighbours: Neighbours, steps: int = STEPS) -> Ranks:
    """PageRank, along relations whichever way they were worded, by as many rounds as these steps allow."""
    count = len(neighbours)
    if not count:
        return Ranks([], 0, 0.0)
    scores, left = [1 / count] * count, 0.0
    rounds = min(100, max(2, steps // (sum(map(len, neighbours)) + count)))
    for round in range(1, rounds + 1):
        before, scores = scores, _passed_on(neighbours, scores)
        left = sum(abs(now - then) for now, then in zip(scores, before, strict=True))
        if left < CLOSE * count:
            return Ranks(scores, round, left)
    return Ranks(scores, rounds, left)


def _passed_on(neighbours: Neighbours, scores: Sequence[float]) -> list[float]:
    """What each has when all have passed on what they had, to what they are related to; the others, to all."""
    count = len(neighbours)
    shares = [score / len(to) if to else 0.0 for score, to in zip(scores, neighbours, strict=True)]
    lost = sum(score for score, to in zip(scores, neighbours, strict=True) if not to)
    base = (1 - DAMPING) / count + DAMPING * lost / count
    share = shares.__getitem__
    return [base + DAMPING * sum(map(share, to)) for to in neighbours]


def communities(neighbours: Neighbours, most: int = PAIRS) -> Communities:
    """Louvain communities of two and more, always the same ones; of a large graph, those of a sample of it."""
    related = [place for place, to in enumerate(neighbours) if to]
    exact = pairs(neighbours) <= most
    chosen = related if exact else sampled(neighbours, related, SAMPLE)
    while not exact and _pairs_among(neighbours, chosen) > most:
        chosen = chosen[: len(chosen) // 2]
    groups = nx.community.louvain_communities(_graph(neighbours, chosen), seed=SEED)
    ordered = sorted((sorted(group) for group in groups), key=lambda group: (-len(group), group[0]))
    return Communities([group for group in ordered if len(group) > 1], len(chosen), exact)


def _pairs_among(neighbours: Neighbours, places: Sequence[int]) -> int:
    among = set(places)
    return sum(to in among for place in places for to in neighbours[place]) // 2


def sampled(neighbours: Neighbours, places: Sequence[int], most: int, starts: int = 10) -> list[int]:
    """Places around a few that are drawn, always the same ones: nearest first, so that what is related stays so."""
    found = dict.fromkeys(Random(SEED).sample(places, min(starts, len(places), most)))
    queue = deque(found)
    while queue and len(found) < most:
        for place in neighbours[queue.popleft()]:
            if place not in found and len(found) < most:
                found[place] = None
                queue.append(place)
    return list(found)


def held(neighbours: Neighbours, most: int = HELD) -> Held:
    """What alone holds parts of a graph together. Bridges come by how much hangs by them, joints by what they join."""
    bridges: list[tuple[int, int, int]] = []
    joined: Counter[int] = Counter()
    skipped, room = 0, most
    for part in sorted(parts(neighbours), key=len):
        room -= sum(len(neighbours[place]) for place in part) // 2
        if room < 0:
            skipped += len(part)
            continue
        graph = _graph(neighbours, part)
        blocks = [list(edges) for edges in nx.biconnected_component_edges(graph)]
        joined.update(place for edges in blocks for place in {end for edge in edges for end in edge})
        bridges += _weighed(graph, [edges[0] for edges in blocks if len(edges) == 1])
    joints = [(place, count) for place, count in joined.items() if count > 1]
    ordered = sorted(bridges, key=lambda bridge: (-bridge[2], bridge[0], bridge[1]))
    return Held(ordered, sorted(joints, key=lambda joint: (-joint[1], joint[0])), skipped)


def parts(neighbours: Neighbours) -> list[list[int]]:
    """The parts that nothing relates to one another, of two places and more."""
    found, seen = [], [not to for to in neighbours]
    for start in range(len(neighbours)):
        if seen[start]:
            continue
        seen[start] = True
        part = [start]
        for place in part:
            for to in neighbours[place]:
                if not seen[to]:
                    seen[to] = True
                    part.append(to)
        found.append(part)
    return found


def _weighed(part: nx.Graph, bridges: Iterable[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Bridges of a connected part, with how many places the smaller side of each has."""
    bridges = [(min(edge), max(edge)) for edge in bridges]
    if not bridges:
        return []
    tree, total = nx.dfs_tree(part, min(part)), len(part)  # every bridge is in every tree that spans the part
    below = dict.fromkeys(part, 1)
    for place in nx.dfs_postorder_nodes(tree, min(part)):
        below[place] += sum(below[child] for child in tree[place])
    sides = [below[other] if tree.has_edge(one, other) else below[one] for one, other in bridges]
    return [(one, other, min(side, total - side)) for (one, other), side in zip(bridges, sides, strict=True)]


def _graph(neighbours: Neighbours, places: Iterable[int]) -> nx.Graph:
    """These places and what relates them."""
    graph = nx.Graph()
    graph.add_nodes_from(places)
    graph.add_edges_from((one, to) for one in places for to in neighbours[one] if one < to and to in graph)
    return graph
