"""A large graph: WordNet's 117,659 synsets and their pointers taken in, then searched, walked and added to.

`python -m benchmarks.wordnet [--calls N] [--turn N]`, with Debian's `wordnet-base` installed. Servers take turns, each
a process of its own on pipes: the memory server and the graph with 10,000 synsets, the graph with all on SQLite and on
PostgreSQL; and beside them the engine in this process, on a copy of the file, to tell what MCP takes. Every answer is
checked.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import machine
from benchmarks.memory_peer import EnginePeer, MemoryPeer, engine, original, ours
from benchmarks.peers import ROOT, PeerFailed
from benchmarks.rounds import BenchFailed
from benchmarks.wordnet_questions import NEAR, NEAREST, Arguments, Question, WordNet, questions
from engine.types import Json
from tests.postgres import postgres
from tests.wordnet import FOLDER, write_memory

Peer = MemoryPeer | EnginePeer

PAUSE = 0.1
"""Seconds between two actions of somebody else, while a file is taken in."""
IDLE = 5.0
"""Seconds for which somebody else acts beside nothing."""
MB = 1_000_000


@dataclass(slots=True)
class Took:
    """Milliseconds of each call of a question to a server, the first of them apart, and CPU seconds of them all."""

    first: float = 0.0
    rest: list[float] = field(default_factory=list)
    cpu: float = 0.0
    short: list[str] = field(default_factory=list)
    """What was refused, or answered in part."""

    def add(self, took: float) -> None:
        """Count a call."""
        if self.first:
            self.rest.append(took)
        else:
            self.first = took

    @property
    def p50(self) -> float:
        """The median; of a single call, that."""
        return statistics.median(self.rest or [self.first])

    @property
    def p95(self) -> float:
        """The 95th percentile; of a few calls, the longest."""
        rest = sorted(self.rest or [self.first])
        return rest[min(len(rest) - 1, len(rest) * 95 // 100)]


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100, help="of each question, to each server (default: 100)")
    parser.add_argument("--turn", type=int, default=10, help="calls of a turn (default: 10); 1 finds caches cold")
    options = parser.parse_args()
    if not FOLDER.is_dir():
        print(f"WordNet is not there ({FOLDER}): install Debian's wordnet-base. Nothing was measured.")
        return 0
    try:
        with tempfile.TemporaryDirectory(prefix="bench-wordnet-") as folder, postgres() as server:
            _run(Path(folder), server.fresh(), options.calls, options.turn)
    except (BenchFailed, PeerFailed) as error:
        print(f"The benchmark failed: {error}", file=sys.stderr)
        return 1
    return 0


def _run(folder: Path, url: str, calls: int, turn: int) -> None:
    for name, fact in machine.described(folder, None).items():
        print(f"{name:<10} {fact}")
    wordnet = WordNet()
    every, part = _files(folder, wordnet)
    print(f"wordnet    {len(wordnet.synsets):,} synsets, {len(wordnet.relations):,} different pointers,", end=" ")
    print(f"{every.stat().st_size / MB:.0f} MB of JSONL\n", flush=True)
    with ExitStack() as stack:
        peers = list(_peers(stack, folder, url, every, part))
        print(f"\n{'ms':<24}{'':<26}{'p50':>9}{'p95':>9}{'first':>9}{'CPU':>9}{'ratio':>8}")
        for question in questions(wordnet, calls):
            taking_part = [peer for peer in peers if question.shared or peer.name.startswith("graph, all")]
            _print(question, _asked(question, taking_part, turn))
        for peer in peers:
            peak = machine.peak_bytes(peer.pid)
            if peak is not None and isinstance(peer, MemoryPeer):
                print(f"{peer.name}: {peak / MB:.0f} MB of memory at most")


def _files(folder: Path, wordnet: WordNet) -> tuple[Path, Path]:
    """All of WordNet as JSONL, and the part of it that a memory server is given, with the relations within that."""
    every, part = folder / "wordnet.jsonl", folder / "memory.jsonl"
    write_memory(every, wordnet.synsets.values(), wordnet.relations)
    within = [one for one in wordnet.relations if one[0] in wordnet.part and one[2] in wordnet.part]
    write_memory(part, [wordnet.synsets[name] for name in wordnet.part], within)
    return every, part


def _peers(stack: ExitStack, folder: Path, url: str, every: Path, part: Path) -> Iterator[Peer]:
    """The servers that take turns, each with what it is to hold; the memory server only if it can be installed."""
    try:
        (peer := stack.enter_context(original(folder))).name = f"memory server, {NEAREST:,}"
        yield peer
    except PeerFailed as error:
        print(f"the graph alone: {error}")
    small, large, beside, own = (folder / name for name in ("small", "large", "beside", "own"))
    _take_in("a part, SQLite", part, small, "")
    yield stack.enter_context(ours(small, f"graph, {NEAREST:,}, SQLite"))
    _take_in("all, SQLite", every, large, "")
    shutil.copytree(large, own)
    yield stack.enter_context(ours(large, "graph, all, SQLite"))
    yield stack.enter_context(engine(own, "graph, all, without MCP"))
    _take_in("all, PostgreSQL", every, beside, url)
    yield stack.enter_context(ours(beside, "graph, all, PostgreSQL", TURNKEEPER_DATABASE_URL=url))


def _take_in(name: str, file: Path, folder: Path, url: str) -> None:
    """Take a file in as it is typed on a terminal, while somebody else acts; print what it took. Raises BenchFailed."""
    settings = {"TURNKEEPER_DATABASE_URL": url} if url else {}
    with ours(folder, "somebody else", "counter", **settings) as other:
        with _acting(other) as before:
            time.sleep(IDLE)
        with _acting(other) as waits:
            answer, took = _imported(file, folder, settings)
    facts = sum(answer["told"].values())
    print(
        f"import     {name}: {facts:,} facts in {took['seconds']:.1f} s, {took['cpu']:.1f} s of CPU,"
        f" {1e6 * took['cpu'] / facts:.0f} µs each; {took['peak'] / MB:.0f} MB of memory at most,"
        f" {_on_disk(folder, url) / MB:.0f} MB on disk\n           somebody else's actions meanwhile: {_waited(waits)};"
        f" before: {_waited(before)}",
        flush=True,
    )


def _imported(file: Path, folder: Path, settings: Mapping[str, str]) -> tuple[Any, dict[str, float]]:
    """What came of a file that is taken in by a process of its own, and what that took. Raises BenchFailed."""
    usage = folder.with_suffix(".usage")
    command = [sys.executable, "-m", "benchmarks.usage", str(usage)]
    command += [sys.executable, "-m", "engine.cli", "graph", "import", str(file), "--json"]
    env = {**os.environ, "TURNKEEPER_AUTH": "off", "TURNKEEPER_DATA_DIR": str(folder), **settings}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0 or (answer := json.loads(done.stdout))["problems"]:
        raise BenchFailed(f"{file.name} was not taken in: {(done.stderr or done.stdout)[-500:]}")
    return answer, json.loads(usage.read_text())


def _waited(each: list[float]) -> str:
    ordered = sorted(each)
    p50, p99, most = (ordered[place] for place in (len(ordered) // 2, len(ordered) * 99 // 100, -1))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f}, most {most:.1f}"


@contextmanager
def _acting(peer: MemoryPeer) -> Iterator[list[float]]:
    """Has a server act now and then for as long as the block lasts; the milliseconds that each action takes."""
    waits = [_timed(lambda: peer.call("add", a=1))]
    over = threading.Event()

    def act() -> None:
        while not over.wait(PAUSE):
            waits.append(_timed(lambda: peer.call("add", a=1)))

    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield waits
    finally:
        over.set()
        thread.join()


def _on_disk(folder: Path, url: str) -> int:
    """The bytes of a database."""
    if url:
        with psycopg.connect(url) as connection:
            row = connection.execute("select pg_database_size(current_database())").fetchone()
            assert row is not None
            return int(row[0])
    return sum(file.stat().st_size for file in folder.iterdir())


def _asked(question: Question, peers: Sequence[Peer], turn: int) -> dict[str, Took]:
    """What each server took. They take turns of so many calls, so that what disturbs one disturbs all.

    The first call of each is a turn of its own. Raises BenchFailed.
    """
    took = {peer.name: Took() for peer in peers}
    for begun in (0, *range(1, question.calls + 1, turn)):
        numbers = range(begun, min(begun + turn, question.calls + 1)) if begun else range(1)
        asked = [(number, question.arguments()) for number in numbers]
        for peer in peers:
            for number, arguments in asked:
                if question.changed:
                    told: Json = {"entityName": NEAR, "contents": [f"was seen before path {number}"]}
                    peer.call("add_observations", observations=[told])
                _ask(question, peer, arguments, took[peer.name])
    return took


def _ask(question: Question, peer: Peer, arguments: Arguments, took: Took) -> None:
    cpu, began = machine.cpu_seconds(peer.pid), time.perf_counter()
    try:
        answer = peer.call(question.tool, **arguments)
        wrong = "" if question.right(arguments, answer) else json.dumps(answer)
    except PeerFailed as error:
        wrong = str(error)
    took.add(1000 * (time.perf_counter() - began))
    if cpu is not None:
        took.cpu += (machine.cpu_seconds(peer.pid) or cpu) - cpu
    if wrong and not question.bounded:
        raise BenchFailed(f"{peer.name} answered {question.tool} of {arguments} with {wrong[:500]}")
    if wrong:
        took.short.append(f"{arguments}")


def _print(question: Question, took: Mapping[str, Took]) -> None:
    """A line for each server; ratios are to the first, by the median."""
    base, *_ = took.values()
    for name, each in took.items():
        cpu = 1000 * each.cpu / (len(each.rest) + 1)
        figures = f"{each.p50:>9.1f}{each.p95:>9.1f}{each.first:>9.1f}{cpu:>9.1f}{each.p50 / base.p50:>8.2f}"
        short = f"  {len(each.short)} fell short, as {each.short[0]}" if each.short else ""
        print(f"{question.name:<24}{name:<26}{figures}{short}", flush=True)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
