"""The requests of the benchmark as the 2026-07-28 wire has them, and what a right answer to each is."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

from engine.types import Json

REVISION = "2026-07-28"
FIRST_ID = 1_000_000
"""Ids have as many digits as this one, so that every request of a kind has the same length."""

_META: dict[str, Json] = {
    "io.modelcontextprotocol/protocolVersion": REVISION,
    "io.modelcontextprotocol/clientInfo": {"name": "turnkeeper-benchmarks", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
_ADDED = re.compile(r"Added 1, total is now (\d+)")


class WrongAnswer(Exception):
    """A response that is not the right answer to its request."""


@dataclass(frozen=True, slots=True)
class Question:
    """One kind of request: how its bytes are made, and what to take from a right answer. Raises WrongAnswer."""

    before: bytes
    after: bytes
    taken: Callable[[Json], int]

    def asked(self, number: int) -> bytes:
        """The request with that id, ready to be sent."""
        return b"%s%d%s" % (self.before, number, self.after)

    def answered(self, status: int, body: bytes, number: int) -> int:
        """The total that a response tells. Raises WrongAnswer."""
        if status != 200:
            raise WrongAnswer(f"HTTP {status}: {body[:300]!r}")
        message = json.loads(body)
        if message.get("id") != number or "result" not in message:
            raise WrongAnswer(f"no result for request {number}: {body[:300]!r}")
        return self.taken(message["result"])


def adding(port: int, path: str, token: str | None = None) -> Question:
    """A call of the tool `add` with 1; the answer tells the total after it."""
    return _question(port, path, "tools/call", "add", {"name": "add", "arguments": {"a": 1}}, _added, token)


def reading(port: int, path: str, uri: str, token: str | None = None) -> Question:
    """A read of the resource that is the total."""
    return _question(port, path, "resources/read", uri, {"uri": uri}, _total, token)


def numbers() -> Iterator[int]:
    """Request ids, each once a run."""
    return count(FIRST_ID)


def _question(
    port: int,
    path: str,
    method: str,
    name: str,
    params: dict[str, Json],
    taken: Callable[[Json], int],
    token: str | None,
) -> Question:
    body = {"jsonrpc": "2.0", "id": FIRST_ID, "method": method, "params": {**params, "_meta": _META}}
    dumped = json.dumps(body, separators=(",", ":")).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: keep-alive\r\n"
        "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"
        f"MCP-Protocol-Version: {REVISION}\r\nMcp-Method: {method}\r\nMcp-Name: {name}\r\n"
        + ("" if token is None else f"Authorization: Bearer {token}\r\n")
        + f"Content-Length: {len(dumped)}\r\n\r\n"
    )
    before, _, after = dumped.partition(str(FIRST_ID).encode())
    return Question(head.encode() + before, after, taken)


def _added(result: Json) -> int:
    found = _ADDED.match(result["content"][0]["text"])
    if result.get("isError") or found is None:
        raise WrongAnswer(f"add answered {str(result)[:300]}")
    return int(found[1])


def _total(result: Json) -> int:
    return int(result["contents"][0]["text"])
