"""A server of clients' documents, for tests: over TLS, on this machine."""

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from engine.types import Json

CALLBACK = "http://127.0.0.1:5555/callback"
RAW = 0
"""A status that is none: the body is all of the answer."""


@dataclass
class Publisher:
    """An HTTPS server of clients' documents, each with its status and headers."""

    port: int
    trusted: ssl.SSLContext
    documents: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    meeting: threading.Barrier | None = None
    """Where requests wait for each other, if they shall."""

    def url(self, path: str = "/client.json") -> str:
        """The address of a document."""
        return f"https://localhost:{self.port}{path}"

    def publish(self, path: str = "/client.json", headers: dict[str, str] | None = None, **changes: Json) -> str:
        """Put a document there, and give its address."""
        url = self.url(path)
        found = {"client_id": url, "client_name": "A document", "redirect_uris": [CALLBACK], **changes}
        self.documents[path] = (200, headers or {}, json.dumps(found).encode())
        return url


def certify(folder: Path) -> None:
    """Make a certificate of two hosts, signed by itself, with its key."""
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,DNS:client.example"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*made, "-nodes", "-days", "2", *names, *files], check=True, capture_output=True)


@contextmanager
def publishing(certificate: Path) -> Iterator[Publisher]:
    """A server of documents, which is trusted by its certificate."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            found.hosts.append(self.headers["host"])
            if found.meeting is not None:
                found.meeting.wait(timeout=20)
            with suppress(OSError):  # who does not want it hangs up
                self.answer(*found.documents.get(self.path, (404, {}, b"")))

        def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            if status != RAW:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        trusted = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
        found = Publisher(server.server_address[1], trusted)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()
