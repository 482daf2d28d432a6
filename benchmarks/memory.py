"""The graph beside the memory server that it stands in for: one write and one search among 10,000 entities.

`python -m benchmarks.memory [ENTITIES]` prints it. Without the memory server, which is an npm package, only the
graph is measured.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from benchmarks.memory_peer import MemoryPeer, original, ours
from benchmarks.peers import PeerFailed
from benchmarks.rounds import BenchFailed
from engine.types import Json

ROUNDS, CALLS = 5, 20
AT_ONCE = 1_000
"""Entities that one call tells of, while a graph is filled."""


def measured(folder: Path, entities: int) -> list[str]:
    """Lines that say what a write and a search take. Raises BenchFailed."""
    with ExitStack() as stack:
        peers = [stack.enter_context(ours(folder / "ours"))]
        lines = []
        try:
            (folder / "theirs").mkdir()
            peers.append(stack.enter_context(original(folder / "theirs")))
        except PeerFailed as error:
            lines.append(f"the graph alone: {error}")
        for peer in peers:
            _fill(peer, entities)
        took = _rounds(peers, entities)
    return [*lines, *(_line(name, what, entities, each) for (name, what), each in took.items())]


def _fill(peer: MemoryPeer, entities: int) -> None:
    for first in range(0, entities, AT_ONCE):
        told = [_entity(number) for number in range(first, min(first + AT_ONCE, entities))]
        if len(peer.call("create_entities", entities=told)["entities"]) != len(told):
            raise BenchFailed(f"{peer.name} did not take all of {len(told)} new entities")


def _rounds(peers: list[MemoryPeer], entities: int) -> dict[tuple[str, str], list[float]]:
    """Milliseconds of each call, by peer and by what it did: all take turns, so that what disturbs one disturbs all."""
    numbers: dict[str, Iterator[int]] = {peer.name: count(entities) for peer in peers}
    took: dict[tuple[str, str], list[float]] = {}
    for number in range(ROUNDS):
        for peer in peers:
            for turn in range(CALLS):
                new = next(numbers[peer.name])
                wanted = (number * CALLS + turn) * 7919 % entities
                took.setdefault((peer.name, "create_entities"), []).append(_timed(lambda: _create(peer, new)))  # noqa: B023
                took.setdefault((peer.name, "search_nodes"), []).append(_timed(lambda: _search(peer, wanted)))  # noqa: B023
    return took


def _create(peer: MemoryPeer, number: int) -> None:
    if len(peer.call("create_entities", entities=[_entity(number)])["entities"]) != 1:
        raise BenchFailed(f"{peer.name} did not take a new entity")


def _search(peer: MemoryPeer, number: int) -> None:
    found = peer.call("search_nodes", query=f"NUMBER {number}.")["entities"]
    if found != [_entity(number)]:
        raise BenchFailed(f"{peer.name} found {found!r:.200} for entity {number}")


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3


def _entity(number: int) -> dict[str, Json]:
    observed = f"was seen as number {number}. of those that were there"
    return {"name": f"entity {number}", "entityType": f"type {number % 7}", "observations": [observed]}


def _line(name: str, what: str, entities: int, each: list[float]) -> str:
    quantiles = statistics.quantiles(each, n=20)
    return (
        f"{name}, {what} among {entities:,} entities: {statistics.median(each):.1f} ms at the median,"
        f" {quantiles[-1]:.1f} ms at the 95th percentile"
    )


def main() -> None:
    """Print what a write and a search take."""
    entities = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as folder:
        print("\n".join(measured(Path(folder), entities)))


if __name__ == "__main__":
    main()
