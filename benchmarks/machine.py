"""What the figures were measured on: the machine, the versions, and how long its disk takes to be sure."""

import os
import platform
import statistics
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

from engine.store.sqlite import SQLITE

_LIBRARIES = ("mcp", "uvicorn", "starlette", "pydantic", "sqlalchemy")
_SYNCS = 100


def described(data_dir: Path, bench_python: Path | None) -> dict[str, str]:
    """Facts of the machine by name, ready to be printed."""
    system = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    return {
        "machine": f"{system}, load {os.getloadavg()[0]:.1f} before the run",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": f"{SQLITE.sqlite_version}, fsync {fsync_ms(data_dir):.2f} ms in the data directory",
        "libraries": ", ".join(f"{name} {version(name)}" for name in _LIBRARIES),
        **({} if bench_python is None else {"fastmcp": _versions(bench_python, ("fastmcp", "mcp", "uvicorn"))}),
    }


def fsync_ms(folder: Path) -> float:
    """The median time in milliseconds that 4 KiB take to be on the disk of that folder."""
    probe = folder / "fsync.probe"
    times = []
    with probe.open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    probe.unlink()
    return statistics.median(times) * 1000


def cpu_seconds(process: int) -> float | None:
    """CPU time that a process has used so far, where the system tells (Linux)."""
    try:
        told = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return None
    user, system = told.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def peak_bytes(process: int) -> int | None:
    """The most memory that a process has held so far, where the system tells (Linux)."""
    try:
        told = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return None
    return next(1024 * int(line.split()[1]) for line in told.splitlines() if line.startswith("VmHWM:"))


def _versions(python: Path, names: tuple[str, ...]) -> str:
    code = f"from importlib.metadata import version\nprint(', '.join(n + ' ' + version(n) for n in {names!r}))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
