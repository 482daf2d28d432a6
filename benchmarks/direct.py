"""The engine without MCP: threads that call the dispatcher of this process. Prints one round as JSON."""

import json
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from engine.application import opened
from engine.dispatch import Dispatcher
from engine.operations import Call
from engine.settings import Settings
from engine.types import LOCAL
from server import tune

CALLS: Mapping[str, Call] = {
    "add": Call(principal=LOCAL, world="counter", action="add", arguments={"a": 1}),
    "transfer": Call(principal=LOCAL, world="ledger", action="transfer", arguments={"cents": 1}),
}
WORLDS = str(Path(__file__).parent / "worlds")


def dispatched(dispatcher: Dispatcher, call: Call, *, threads: int, seconds: float) -> dict[str, float]:
    """What so many threads reach, each with one call under way: calls, seconds, CPU seconds, and the latencies."""
    latencies: list[list[float]] = [[] for _ in range(threads)]
    dispatcher.dispatch(call)
    began, cpu = time.perf_counter(), time.process_time()
    workers = [threading.Thread(target=_work, args=(dispatcher, call, began + seconds, own)) for own in latencies]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    took, used = time.perf_counter() - began, time.process_time() - cpu
    ordered = sorted(latency for own in latencies for latency in own)
    count = len(ordered)
    return {
        "rate": count / took,
        "p50_ms": ordered[count // 2] * 1000,
        "p99_ms": ordered[count * 99 // 100] * 1000,
        "cpu_us": used / count * 1e6,
        "answered": count + 1,
    }


def _work(dispatcher: Dispatcher, call: Call, until: float, latencies: list[float]) -> None:
    while (sent := time.perf_counter()) < until:
        dispatcher.dispatch(call)
        latencies.append(time.perf_counter() - sent)


if __name__ == "__main__":
    _, folder, name, callers, length = sys.argv
    with opened(Settings(data_dir=Path(folder), worlds_path=WORLDS)) as dispatcher:
        tune()
        print(json.dumps(dispatched(dispatcher, CALLS[name], threads=int(callers), seconds=float(length))))
