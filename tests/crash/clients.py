"""Clients of a server that may be gone at any instant: what each asked for, and what it was told."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from random import Random
from threading import Event, Semaphore
from typing import Any, BinaryIO, Protocol

from engine.dispatch import Dispatcher
from tests.crash.child import LEDGER, answered
from tests.serving import MODERN, SECONDS, raw_headers

GONE = (OSError, EOFError, http.client.HTTPException)
"""What a client sees of a server that was killed."""
LATER = frozenset({"disconnected", "busy"})
"""Error codes that say to come again."""
UNDECIDED = frozenset({"outcome_unknown"})
"""Error codes that leave open whether it was done. Every other one says that it was not."""
WANTED = {"note": 60, "strike": 15, "undo": 14, "redo": 9, "start": 1, "fork": 1}
"""How often a client wants what, in a hundred."""


@dataclass(frozen=True, slots=True)
class Request:
    """An action on a session, under a key of its own. The actions `start` and `fork` make a session."""

    session: str
    action: str
    arguments: dict[str, Any]
    key: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said: the revision at which it was first done, and the value; or why not."""

    session: str = ""
    at: int = 0
    value: Any = None
    refused: str | None = None


class Wire(Protocol):
    """A connection to a server."""

    def ask(self, request: Request) -> Answer:
        """Send a request and wait. Raises one of GONE."""


class Lines:
    """A connection that speaks lines of JSON."""

    def __init__(self, stream: socket.socket, answers: BinaryIO) -> None:
        self._stream = stream
        self._answers = answers

    def ask(self, request: Request) -> Answer:
        self._stream.sendall(json.dumps(asdict(request)).encode() + b"\n")
        line = self._answers.readline()
        if not line.endswith(b"\n"):
            raise EOFError("the server is gone")
        return _answer(json.loads(line))


class Direct:
    """A server in this process, which nobody kills."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def ask(self, request: Request) -> Answer:
        return _answer(answered(self._dispatcher, asdict(request)))


def _answer(said: dict[str, Any]) -> Answer:
    if "refused" in said:
        return Answer(refused=said["refused"])
    return Answer(said["session"], said["replayed"] or said["revision"], said["value"])


class Http:
    """A connection that speaks MCP of 2026-07-28 over HTTP."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection

    def ask(self, request: Request) -> Answer:
        params = {
            "name": _tool(request.action),
            "arguments": _tool_arguments(request),
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientInfo": {"name": "client", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
                "turnkeeper/key": request.key,
            },
        }
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        self._connection.request("POST", "/mcp", json.dumps(body), raw_headers("tools/call", params))
        said = json.loads(self._connection.getresponse().read())["result"]
        envelope = said["structuredContent"]
        if said["isError"]:
            return Answer(refused=next(m["code"] for m in envelope["messages"] if m["type"] == "error"))
        return Answer(envelope["session"], envelope.get("replayed") or envelope["revision"], envelope["result"])


def _tool(action: str) -> str:
    names = {"start": "start_session", "fork": "fork_session", "undo": "undo", "redo": "redo"}
    return names.get(action, f"{LEDGER}_{action}")


def _tool_arguments(request: Request) -> dict[str, Any]:
    return {"world": LEDGER} if request.action == "start" else {"session": request.session, **request.arguments}


@contextmanager
def connected(kind: str, port: int) -> Iterator[Wire]:
    """A connection to a server of that kind. Raises one of GONE."""
    if kind == "http":
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as connection:
            yield Http(connection)
        return
    with socket.create_connection(("127.0.0.1", port), SECONDS) as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with stream.makefile("rb") as answers:
            yield Lines(stream, answers)


@dataclass
class Client:
    """Asks, again and again, and keeps what it was told. What it was not told it asks again, or leaves open."""

    name: str
    sessions: list[str]
    random: Random
    told: Semaphore
    answered: dict[str, tuple[Request, Answer]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, Request] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    pending: Request | None = None

    def play(self, kind: str, port: int, stop: Event) -> None:
        """Ask until the server is gone."""
        try:
            with connected(kind, port) as wire:
                if self.pending is not None and self.random.random() < 0.25:
                    self.unknown[self.pending.key] = self.pending
                    self.pending = None
                while not stop.is_set():
                    self.step(wire)
        except GONE:
            return
        except Exception as error:  # it would only end this thread
            self.failures.append(f"{self.name}: {error!r}")

    def settle(self, wire: Wire) -> None:
        """Ask again for everything: what was done is answered as it was, and what was not is done now."""
        left = [*self.unknown.values(), *([self.pending] if self.pending is not None else [])]
        self.unknown, self.pending = {}, None
        for request in left:
            self._ask(wire, request)
        for request, before in list(self.answered.values()):
            self._same(request, before, wire.ask(request))

    def step(self, wire: Wire) -> None:
        """Ask for one thing, or again for one that was answered. Raises one of GONE."""
        if self.pending is None and self.answered and self.random.random() < 0.1:
            request, before = self.random.choice(list(self.answered.values())[-50:])
            self._same(request, before, wire.ask(request))
        else:
            self._ask(wire, self.pending or self._next())

    def _next(self) -> Request:
        """The next thing to want."""
        key = f"{self.name}-{len(self.answered) + len(self.refused) + len(self.unknown)}"
        (action,) = self.random.choices(list(WANTED), list(WANTED.values()))
        arguments = {"note": {"amount": self.random.randrange(1000)}, "fork": {"at": self.random.randrange(1, 30)}}
        return Request(self.random.choice(self.sessions), action, arguments.get(action, {}), key)

    def _ask(self, wire: Wire, request: Request) -> None:
        self.pending = request
        answer = wire.ask(request)
        if answer.refused in UNDECIDED:
            return
        self.pending = None
        if answer.refused is None:
            self.answered[request.key] = (request, answer)
        else:
            self.refused[request.key] = answer.refused
        self.told.release()

    def _same(self, request: Request, before: Answer, again: Answer) -> None:
        if again.refused not in LATER | UNDECIDED and again != before:
            self.failures.append(f"{request} was answered {before}, and when asked again {again}")
