"""How a peer's app is served: as Turnkeeper serves its own, with one worker and no access log."""

import gc
import sys
from collections.abc import Callable
from typing import Any

import uvicorn


def serve(app: Callable[..., Any]) -> None:
    """Serve on the loopback port that the command line gives, until the process is told to stop."""
    config = uvicorn.Config(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)
    uvicorn.Server(config).run()
