"""Looking at something again and again, for as long as the server runs."""

import logging
from collections.abc import Awaitable, Callable

import anyio

logger = logging.getLogger(__name__)


async def every(seconds: float, look: Callable[[], Awaitable[None]]) -> None:
    """Look, so many seconds after the look before. One that fails is logged and costs no later one."""
    while True:
        await anyio.sleep(seconds)
        try:
            await look()
        except Exception:
            logger.exception("a look failed")
