"""Runs a command, and tells what it took: `python -m benchmarks.usage FILE COMMAND…` writes it to a file, as JSON.

It is a process of its own, because Linux counts the memory of the process that starts a command as the command's.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path


def main() -> int:
    """Run the command; what it ended with."""
    file, *command = sys.argv[1:]
    began = time.perf_counter()
    status = subprocess.run(command, check=False).returncode
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024
    took = {"seconds": time.perf_counter() - began, "cpu": used.ru_utime + used.ru_stime}
    Path(file).write_text(json.dumps({**took, "peak": used.ru_maxrss * unit}))
    return status


if __name__ == "__main__":
    sys.exit(main())
