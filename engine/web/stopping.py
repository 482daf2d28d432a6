"""Ending a server: what was accepted is finished and answered, and the process is gone in time whatever happens."""

import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator, Iterator

import uvicorn

logger = logging.getLogger(__name__)

GRACE_SECONDS = 6
"""How long requests under way get to be answered."""
STOP_SECONDS = 9.0
"""When a process that was told to stop is gone: an action that cannot be stopped must not keep it."""


class GentleServer(uvicorn.Server):
    """uvicorn's server, which ends endless streams when it is told to stop, and leaves its caller to end the process.

    `stopping` is called when the server was told to stop.
    """

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more requests, and finish those under way."""
        self._stopping()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take signals as requests to stop, to the end of the process: uvicorn's own would then end it at once."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self.handle_exit)
        yield


@contextlib.contextmanager
def gone_within(seconds: float) -> Iterator[Callable[[], None]]:
    """Gives a function that starts the clock: if the block is not over in time, the process ends in the midst of it."""

    def end() -> None:
        logger.error("an action did not end within %g s; the process ends without it", seconds)
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    try:
        yield timer.start
    finally:
        timer.cancel()
