"""Interleaved rounds: every row is measured once a round, so that what disturbs the machine disturbs all alike."""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.load import driven
from benchmarks.peers import ROOT, Peer
from benchmarks.wire import Question
from engine.types import Json

WARM_UP_SECONDS = 0.5


class BenchFailed(Exception):
    """An answer was wrong, or a promise was not kept: then no figure counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one round of a row gave."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float | None
    driver_share: float | None
    """How much of one core the load driver used."""

    @property
    def each_us(self) -> float:
        """Microseconds from one answer to the next."""
        return 1e6 / self.rate


@dataclass(slots=True)
class Row:
    """One line of the table: how a round of it is run, and what its rounds gave."""

    name: str
    base: str
    """The name of the row that its ratio is to."""
    run: Callable[[float], Figures]
    rounds: list[Figures] = field(default_factory=list)

    def median(self, figure: Callable[[Figures], float | None]) -> float | None:
        """The median of a figure over the rounds."""
        found = [value for value in map(figure, self.rounds) if value is not None]
        return statistics.median(found) if found else None

    def ratios(self, base: "Row") -> list[float]:
        """Its rate in each round, as a multiple of the base's in the same round."""
        return [own.rate / other.rate for own, other in zip(self.rounds, base.rounds, strict=True)]

    def as_json(self, base: "Row") -> dict[str, Json]:
        """The raw figures."""
        return {
            "name": self.name,
            "ratio_to": self.base,
            "ratios": self.ratios(base),
            "rounds": [asdict(figures) for figures in self.rounds],
        }


def interleaved(rows: Sequence[Row], *, rounds: int, seconds: float) -> Iterator[int]:
    """Warm every row up, then run the rounds; gives the number of each when it is done. Raises BenchFailed."""
    for row in rows:
        row.run(WARM_UP_SECONDS)
    for number in range(1, rounds + 1):
        for row in rows:
            row.rounds.append(row.run(seconds))
        yield number


def over_http(
    peer: Peer, question: Question, numbers: Iterator[int], totals: list[int], connections: int
) -> Callable[[float], Figures]:
    """A row's round over HTTP. Every total that was answered is added to `totals`."""

    def run(seconds: float) -> Figures:
        before = peer.cpu_seconds()
        load = driven(peer.port, question, numbers, connections=connections, seconds=seconds)
        after = peer.cpu_seconds()
        if load.errors:
            raise BenchFailed(f"{peer.name}: {len(load.errors)} wrong answers, such as {load.errors[0]}")
        totals.extend(load.totals)
        used = None if before is None or after is None else (after - before) / len(load.latencies) * 1e6
        return Figures(
            rate=load.rate,
            p50_ms=load.quantile(0.5),
            p99_ms=load.quantile(0.99),
            cpu_us=used,
            driver_share=load.driver_cpu / load.seconds,
        )

    return run


def in_process(data_dir: Path, call: str, answered: list[int], threads: int) -> Callable[[float], Figures]:
    """A round of the dispatcher without MCP, in a process of its own. `answered` counts its calls by round."""

    def run(seconds: float) -> Figures:
        command = [sys.executable, "-m", "benchmarks.direct", str(data_dir), call, str(threads), str(seconds)]
        told = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
        found = json.loads(told)
        answered.append(found.pop("answered"))
        return Figures(**found, driver_share=None)

    return run
