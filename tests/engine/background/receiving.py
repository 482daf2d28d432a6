"""A receiver of webhooks on this machine, for tests: it notes what it is sent, and answers as it is told to."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from engine.types import Json

SECONDS = 20.0
ENDLESS = b"endless"
"""A body that never ends."""


@dataclass(frozen=True)
class Received:
    """A request."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Json:
        return json.loads(self.body)

    @property
    def about(self) -> tuple[str, int]:
        """The session and revision that it is about."""
        return self.json["data"]["session"], self.json["data"]["revision"]

    def signed_by(self, *secrets: str) -> bool:
        """Whether it has the signatures of these secrets, in this order and no others, by the words of the standard."""
        signed = b".".join((self.id.encode(), self.headers["webhook-timestamp"].encode(), self.body))
        keys = [base64.b64decode(secret.removeprefix("whsec_")) for secret in secrets]
        made = [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys]
        return self.headers["webhook-signature"] == " ".join(f"v1,{one}" for one in made)


@dataclass(frozen=True)
class Reply:
    """How a request is answered; with `status` None not at all. What is `held` is answered once that is set."""

    status: int | None = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    held: threading.Event | None = None


@dataclass
class Receiver:
    """What came so far, and how to answer what is to come."""

    port: int
    answer: Callable[[Received], Reply] = lambda received: Reply()
    received: list[Received] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks?by=test"

    def has(self, number: int) -> bool:
        """Whether so many requests have come, at last."""
        with self.changed:
            return self.changed.wait_for(lambda: len(self.received) >= number, SECONDS)

    def take(self, received: Received) -> Reply:
        with self.changed:
            self.received.append(received)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self.changed.notify_all()
        reply = self.answer(received)
        if reply.held is not None:
            reply.held.wait(SECONDS)
        with self.changed:
            self.at_once -= 1
        return reply


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver, for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            reply = found.take(Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            with suppress(OSError):  # who has heard enough hangs up
                self.give(reply)

        def give(self, reply: Reply) -> None:
            if reply.status is None:
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)
            while reply.body is ENDLESS:
                self.wfile.write(b"x" * 4096)

        def log_message(self, *args: object) -> None: ...

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        found = Receiver(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield found
        server.shutdown()
        thread.join()
