"""The command line of the benchmark."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import charts, facts, machine, report, sessions, wire
from benchmarks.peers import ROOT, Peer, PeerFailed, bench_python, fastmcp, guarded, sdk, turnkeeper
from benchmarks.rounds import BenchFailed, Row, in_process, interleaved, over_http

BASE, READ_BASE = "MCP SDK, add, in memory", "MCP SDK, read"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0 unless a peer does not run, an answer was wrong or a promise broken."""
    options = _options().parse_args(arguments)
    scratch = ROOT / "build"
    scratch.mkdir(exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-", dir=scratch) as folder:
            if options.sessions:
                _run_sessions(options, Path(folder))
            else:
                _run(options, Path(folder))
    except (BenchFailed, PeerFailed) as error:
        print(f"The benchmark failed: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace, folder: Path) -> None:
    found = machine.described(folder, bench_python())
    print("\n".join(f"{name:<10} {fact}" for name, fact in found.items()))
    print(f"{'run':<10} {options.rounds} interleaved rounds of {options.seconds:g} s a row,", end=" ")
    print(f"{options.connections} connections, one worker each\n", flush=True)
    served, direct, ledger = folder / "served", folder / "direct", folder / "ledger"
    totals: dict[str, list[int]] = {}
    added: list[int] = []
    transferred: list[int] = []
    with ExitStack() as stack:
        peers = [
            stack.enter_context(peer) for peer in (sdk(), fastmcp(), turnkeeper(served), guarded(folder / "guarded"))
        ]
        rows = _rows(peers, totals, options.connections)
        callers = f"{options.connections} callers, no MCP"
        rows.append(Row(f"engine, add, {callers}", BASE, in_process(direct, "add", added, options.connections)))
        transfers = in_process(ledger, "transfer", transferred, options.connections)
        rows.append(Row(f"engine, three rows by the ORM, {callers}", BASE, transfers))
        for number in interleaved(rows, rounds=options.rounds, seconds=options.seconds):
            print(f"round {number} of {options.rounds}", file=sys.stderr)
    print(report.table(rows))
    held = [facts.each_once(name, told) for name, told in totals.items()]
    held.append(facts.kept("Turnkeeper after SIGKILL", served, len(totals["Turnkeeper"])))
    held.append(facts.kept("engine", direct, sum(added)))
    held.append(facts.balanced("engine, three rows", ledger, sum(transferred)))
    print("\nheld       " + "\n           ".join(held))
    print("\na step     " + "\n           ".join(charts.measured(options.rounds)))
    if options.json is not None:
        chosen = {name: getattr(options, name) for name in ("rounds", "seconds", "connections")}
        report.write(options.json, found, chosen, rows, held)


def _run_sessions(options: argparse.Namespace, folder: Path) -> None:
    found = machine.described(folder, None)
    print("\n".join(f"{name:<10} {fact}" for name, fact in found.items()))
    print("\n".join(sessions.measured(folder, options.sessions)))


def _rows(peers: Sequence[Peer], totals: dict[str, list[int]], connections: int) -> list[Row]:
    numbers = wire.numbers()
    adds, reads = [], []
    for peer in peers:
        totals[peer.name] = []
        kind = "durable" if peer.name.startswith("Turnkeeper") else "in memory"
        add = over_http(peer, wire.adding(peer.port, peer.path, peer.token), numbers, totals[peer.name], connections)
        read = over_http(peer, wire.reading(peer.port, peer.path, peer.uri, peer.token), numbers, [], connections)
        adds.append(Row(f"{peer.name}, add, {kind}", BASE, add))
        reads.append(Row(f"{peer.name}, read", READ_BASE, read))
    return adds + reads


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default: 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a row in each round (default: 2)")
    parser.add_argument("--connections", type=int, default=16, help="connections, one request each (default: 16)")
    parser.add_argument(
        "--sessions",
        type=int,
        metavar="N",
        help="instead: what N stored sessions cost (1000000 take about five minutes and 1 GB of disk)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw figures there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
