"""Finds what no serial order of transactions explains, in a history of appends to lists and reads of them.

Lists tell their own past: a read shows every append before it, in order. From
that follow who wrote before whom (ww), who read whose append (wr) and who read
before somebody's append (rw), and from the clock who had ended before another
began (rt). A cycle of these is an anomaly, named as Adya named it (Weak
Consistency, 1999) and Kingsbury and Alvaro infer it (Elle, 2020); with rt
edges it is one of strict serializability only.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import networkx


class Status(StrEnum):
    """How a transaction ended, as its client knows."""

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Append:
    """A value put at the end of a list. A list never gets the same value twice."""

    key: str
    value: int


@dataclass(frozen=True, slots=True)
class Read:
    """A list as it was seen."""

    key: str
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """One transaction: what it did in order, how it ended, and when by one clock of all clients."""

    name: str
    steps: tuple[Append | Read, ...]
    begun: float
    ended: float
    status: Status = Status.DONE


@dataclass(frozen=True, slots=True)
class Anomaly:
    """What cannot have happened, and the transactions in which it shows."""

    kind: str
    about: str
    names: tuple[str, ...]


def anomalies(history: Iterable[Done]) -> list[Anomaly]:
    """Every kind of anomaly in a history; of cycles, one for each tangle of transactions."""
    seen = _Seen(list(history))
    return [*_own(seen), *_orders(seen), *_dirty(seen), *_lost(seen), *_cycles(_graph(seen))]


class _Seen:
    """A history by what its reads show."""

    def __init__(self, history: list[Done]) -> None:
        self.all = history
        self.writer = {(s.key, s.value): t for t in history for s in t.steps if isinstance(s, Append)}
        self.reads = [(t, s) for t in history if t.status is Status.DONE for s in _first_reads(t)]
        self.order: dict[str, tuple[int, ...]] = defaultdict(tuple)
        for _, read in self.reads:
            self.order[read.key] = max(self.order[read.key], read.values, key=len)
        shown = {(key, value) for key, values in self.order.items() for value in values}
        self.unseen: dict[str, list[Done]] = defaultdict(list)
        for (key, value), done in self.writer.items():
            if (key, value) not in shown and done.status is Status.DONE:
                self.unseen[key].append(done)


def _first_reads(done: Done) -> Iterator[Read]:
    """What a transaction saw of others' work: each list as it was before its own appends."""
    own: dict[str, int] = defaultdict(int)
    met = set()
    for step in done.steps:
        if isinstance(step, Append):
            own[step.key] += 1
        elif step.key not in met:
            met.add(step.key)
            yield Read(step.key, step.values[: len(step.values) - own[step.key]])


def _own(seen: _Seen) -> Iterator[Anomaly]:
    """Reads that do not fit the same transaction's earlier steps."""
    for done in seen.all:
        if done.status is not Status.DONE:
            continue
        known: dict[str, tuple[int, ...]] = {}
        since: dict[str, tuple[int, ...]] = defaultdict(tuple)
        for step in done.steps:
            if isinstance(step, Append):
                since[step.key] += (step.value,)
                continue
            expected = since[step.key]
            fits = step.values[len(step.values) - len(expected) :] == expected
            if not fits or (step.key in known and step.values != known[step.key] + expected):
                yield Anomaly("internal", step.key, (done.name,))
            known[step.key], since[step.key] = step.values, ()


def _orders(seen: _Seen) -> Iterator[Anomaly]:
    """Reads that no one order of appends explains."""
    for done, read in seen.reads:
        if len(set(read.values)) != len(read.values):
            yield Anomaly("duplicate", read.key, (done.name,))
        elif read.values != seen.order[read.key][: len(read.values)]:
            yield Anomaly("incompatible order", read.key, (done.name,))


def _dirty(seen: _Seen) -> Iterator[Anomaly]:
    """Reads of what was refused (G1a), of what nobody wrote, or of the middle of somebody's transaction (G1b)."""
    for done, read in seen.reads:
        writers = [seen.writer.get((read.key, value)) for value in read.values]
        for value, writer in zip(read.values, writers, strict=True):
            if writer is None:
                yield Anomaly("garbage", f"{read.key} {value}", (done.name,))
            elif writer.status is Status.REFUSED:
                yield Anomaly("G1a", f"{read.key} {value}", (done.name, writer.name))
        last = writers[-1] if writers else None
        if last is not None and last is not done:
            own = [step.value for step in last.steps if isinstance(step, Append) and step.key == read.key]
            if own[-1] != read.values[-1]:
                yield Anomaly("G1b", read.key, (done.name, last.name))


def _lost(seen: _Seen) -> Iterator[Anomaly]:
    """Two that read the same list and then both appended to it: one did not see the other."""
    met: dict[tuple[str, tuple[int, ...]], Done] = {}
    for done, read in seen.reads:
        if any(isinstance(step, Append) and step.key == read.key for step in done.steps):
            other = met.setdefault((read.key, read.values), done)
            if other is not done:
                yield Anomaly("lost update", read.key, (other.name, done.name))


class _Graph:
    """Who must come before whom, and why."""

    def __init__(self) -> None:
        self.why: dict[tuple[str, str], set[str]] = defaultdict(set)

    def edge(self, before: Done, after: Done, why: str) -> None:
        """Note that one must come before another."""
        if before is not after:
            self.why[before.name, after.name].add(why)

    def only(self, kinds: frozenset[str], within: Iterable[str] | None = None) -> "networkx.DiGraph[str]":
        """The graph of some kinds of edges."""
        inside = None if within is None else set(within)
        return networkx.DiGraph(
            (a, b)
            for (a, b), why in self.why.items()
            if why & kinds and (inside is None or (a in inside and b in inside))
        )


def _graph(seen: _Seen) -> _Graph:
    graph = _Graph()
    for key, values in seen.order.items():
        writers = [seen.writer[key, value] for value in values if (key, value) in seen.writer]
        for before, after in pairwise(writers):
            graph.edge(before, after, "ww")
        for after in seen.unseen[key]:
            for before in writers[-1:]:
                graph.edge(before, after, "ww")
    for done, read in seen.reads:
        values, order = read.values, seen.order[read.key]
        if values and (last := seen.writer.get((read.key, values[-1]))) is not None:
            graph.edge(last, done, "wr")
        for following in _following(seen, read.key, order[len(values) : len(values) + 1]):
            graph.edge(done, following, "rw")
    _clock(seen.all, graph)
    return graph


def _following(seen: _Seen, key: str, next_value: tuple[int, ...]) -> list[Done]:
    """Who appended what a read does not show: the next one, or those whose appends no read shows."""
    if not next_value:
        return seen.unseen[key]
    found = seen.writer.get((key, next_value[0]))
    return [] if found is None else [found]


def _clock(history: list[Done], graph: _Graph) -> None:
    """An edge from each that had ended to each that began after, without those that follow from others."""
    moments = [(done.begun, 1, done) for done in history]
    moments += [(done.ended, 0, done) for done in history if done.status is Status.DONE]
    ended: dict[str, Done] = {}
    before: dict[str, list[str]] = {}
    for _, begins, done in sorted(moments, key=lambda moment: moment[:2]):
        if begins:
            before[done.name] = list(ended)
            for other in ended.values():
                graph.edge(other, done, "rt")
        else:
            for name in before.pop(done.name):
                ended.pop(name, None)
            ended[done.name] = done


KINDS = (
    ("G0", frozenset({"ww"}), frozenset[str]()),
    ("G1c", frozenset({"ww", "wr"}), frozenset[str]()),
    ("G-single", frozenset({"ww", "wr"}), frozenset({"rw"})),
    ("G2", frozenset({"ww", "wr", "rw"}), frozenset[str]()),
)
"""Cycles by name, the strongest first: of which edges, and of which exactly one."""


def _cycles(graph: _Graph) -> Iterator[Anomaly]:
    every = graph.only(frozenset({"ww", "wr", "rw", "rt"}))
    for tangle in networkx.strongly_connected_components(every):
        if len(tangle) > 1:
            yield next(_named(graph, tangle))


def _named(graph: _Graph, tangle: set[str]) -> Iterator[Anomaly]:
    """The names that fit a tangle of transactions, the strongest first."""
    for clock, suffix in ((frozenset[str](), ""), (frozenset({"rt"}), " in real time")):
        for kind, many, one in KINDS:
            cycle = _cycle(graph, tangle, many | clock, one)
            if cycle:
                yield Anomaly(kind + suffix, " -> ".join(cycle), tuple(cycle))


def _cycle(graph: _Graph, tangle: set[str], many: frozenset[str], one: frozenset[str]) -> list[str]:
    """A cycle of edges of `many` kinds, with exactly one of kind `one` if that is given; empty if there is none."""
    paths = graph.only(many, tangle)
    if not one:
        tangles = [part for part in networkx.strongly_connected_components(paths) if len(part) > 1]
        return [a for a, _ in networkx.find_cycle(paths.subgraph(tangles[0]))] if tangles else []
    for before, after in graph.only(one, tangle).edges:
        if after in paths and before in paths and networkx.has_path(paths, after, before):
            return [before, *networkx.shortest_path(paths, after, before)[:-1]]
    return []
