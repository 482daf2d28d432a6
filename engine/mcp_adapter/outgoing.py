"""Calls tools of other MCP servers, for effects: with the operator's credentials, and the effect's key.

A server that tells repeats by `turnkeeper/key`, as another Turnkeeper does, carries a call out once.
"""

import ssl
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Literal

import httpx2
import mcp_types as t
from mcp import MCPError
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from engine.effects import Failed
from engine.settings import ServerSettings
from engine.types import Json

KEY = "turnkeeper/key"
SECONDS = 30.0
"""How long a server may take to accept a connection, or to go on with an answer; the effect's timeout says the rest."""
FINAL = (t.INVALID_PARAMS, t.MISSING_REQUIRED_CLIENT_CAPABILITY)
"""Protocol errors that a repeat gets again. Not what a proxy's 404 looks like, too: that no such method is there."""
RETRYABLE = ("busy", "store", "disconnected", "outcome_unknown")
"""Codes in a tool's messages that say to try again."""


class TryLater(Exception):
    """A server did not carry out a call, and may the next time."""


class Servers:
    """The servers that an operator named, by name. `mode` is the protocol's era, found out by default."""

    def __init__(self, servers: Mapping[str, ServerSettings], mode: Literal["auto", "legacy"] = "auto") -> None:
        self._servers = servers
        self._mode = mode

    async def __call__(self, server: str, tool: str, arguments: Mapping[str, Json], key: str) -> Json:
        """What a tool answered: its structured content, or else its text. Raises Failed, TryLater."""
        settings = self._servers.get(server)
        if settings is None:
            raise Failed(
                f"There is no server {server!r}; there are: {', '.join(self._servers) or 'none'}."
                f" Set TURNKEEPER_SERVERS__{server.upper()}__URL."
            )
        try:
            result = await self._called(settings, tool, arguments, key)
        except MCPError as error:
            raise _refused(server, tool, error) from error
        except (OSError, httpx2.HTTPError, ExceptionGroup) as error:
            first = next(_leaves(error))
            if isinstance(first, MCPError):
                raise _refused(server, tool, first) from error
            raise TryLater(f"{server} cannot be reached: {type(first).__name__}: {first}") from error
        return _answer(server, tool, result)

    async def _called(
        self, settings: ServerSettings, tool: str, arguments: Mapping[str, Json], key: str
    ) -> t.CallToolResult:
        token = settings.token
        headers = {} if token is None else {"Authorization": f"Bearer {token.get_secret_value()}"}
        meta: Any = {KEY: key}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=SECONDS, verify=self._tls) as http,
            Client(streamable_http_client(settings.url, http_client=http), mode=self._mode) as client,
        ):
            return await client.call_tool(tool, dict(arguments), meta=meta)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made once: making it takes longer than a call."""
        return ssl.create_default_context()


def _answer(server: str, tool: str, result: t.CallToolResult) -> Json:
    text = "\n".join(block.text for block in result.content if isinstance(block, t.TextContent))
    if not result.is_error:
        return text if result.structured_content is None else result.structured_content
    said = f"{server} did not carry out {tool}: {text or 'it does not say why'}"
    raise TryLater(said) if _is_retryable(result.structured_content) else Failed(said)


def _is_retryable(structured: Json) -> bool:
    """Whether an answer says to try again, as Turnkeeper does."""
    messages = structured.get("messages") if isinstance(structured, dict) else None
    return any(
        isinstance(message, dict) and ("retry_after" in message or message.get("code") in RETRYABLE)
        for message in (messages if isinstance(messages, list) else ())
    )


def _refused(server: str, tool: str, error: MCPError) -> Exception:
    said = f"{server} did not carry out {tool}: {error.message}"
    return Failed(said) if error.code in FINAL else TryLater(said)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """What a group of exceptions holds."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
