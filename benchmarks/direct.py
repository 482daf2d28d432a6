"""Turnkeeper without MCP: threads that call the dispatcher of this process. Prints one round as JSON."""

import json
import sys
import threading
import time
from pathlib import Path

from engine.application import opened
from engine.dispatch import Dispatcher
from engine.operations import Call
from engine.settings import Settings
from engine.types import LOCAL

CALL = Call(principal=LOCAL, world="counter", action="add", arguments={"a": 1})


def dispatched(dispatcher: Dispatcher, *, threads: int, seconds: float) -> dict[str, float]:
    """What so many threads reach, each with one call under way: calls, seconds, CPU seconds, and the latencies."""
    latencies: list[list[float]] = [[] for _ in range(threads)]
    dispatcher.dispatch(CALL)
    began, cpu = time.perf_counter(), time.process_time()
    workers = [threading.Thread(target=_work, args=(dispatcher, began + seconds, own)) for own in latencies]
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


def _work(dispatcher: Dispatcher, until: float, latencies: list[float]) -> None:
    while (sent := time.perf_counter()) < until:
        dispatcher.dispatch(CALL)
        latencies.append(time.perf_counter() - sent)


if __name__ == "__main__":
    with opened(Settings(data_dir=Path(sys.argv[1]))) as dispatcher:
        print(json.dumps(dispatched(dispatcher, threads=int(sys.argv[2]), seconds=float(sys.argv[3]))))
