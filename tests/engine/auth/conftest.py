"""A guarded server for tests of authorization: its app over HTTP, a person in a browser, a client that asks."""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from httpx2 import Response
from pydantic import Field
from starlette.testclient import TestClient

from engine import World, action
from engine.auth.context import AuthContext, Lifetimes
from engine.auth.granting.documents import Fetcher
from engine.auth.pages import login
from engine.auth.people import accounts, passwords
from engine.dispatch import Dispatcher
from engine.store.records import Transaction
from engine.types import Json
from engine.web.guarded import guarded_app
from tests.engine.auth.publishing import CALLBACK as CALLBACK
from tests.engine.auth.publishing import Publisher, certify, publishing
from tests.serving import TLS

BASE = "http://127.0.0.1:8000"
HOST = "127.0.0.1"
PASSWORD = "correct horse battery"
HASHED = passwords.hashed(PASSWORD)
META: Json = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}


class Desk(World, name="desk", rows=[]):
    """A desk."""

    @action
    def knock(self) -> str:
        """Knock on wood."""
        return "knocked"

    @action(read_only=True)
    def look(self) -> str:
        """Look at it."""
        return "a desk"

    @action(scope="desk:burn")
    def burn(self) -> str:
        """Burn it down."""
        return "ashes"

    @action(scope="desk:polish", only_for=lambda principal: principal.name == "ada")
    def polish(self, cloth: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Cloth"})] = "wool") -> str:
        """Polish it."""
        return f"shining by {cloth}"

    @action(only_for=lambda principal: principal.name == "ada", confirm="Really?")
    def sell(self) -> str:
        """Sell it."""
        return "sold"


class Safe(World, name="safe", rows=[], only_for=lambda principal: principal.name != "mallory"):
    """A safe."""

    @action
    def turn(self) -> str:
        """Turn the wheel."""
        return "click"


@dataclass
class House:
    """A guarded server and what reaches it."""

    context: AuthContext
    http: TestClient
    dispatcher: Dispatcher

    def person(self, name: str) -> "Person":
        """Somebody with an account, signed in in a browser of their own."""

        def work(tx: Transaction) -> login.Entry:
            return login.entered(self.context, tx, accounts.create(tx, name, HASHED))

        entry = self.context.store.write(work)  # the page takes as long as argon2; tests of the page go there
        browser = TestClient(self.http.app, base_url=BASE, follow_redirects=False)
        browser.cookies.set("turnkeeper", entry.token, domain=HOST)
        browser.cookies.set("turnkeeper-familiar", entry.mark, domain=HOST)
        return Person(self, name, browser)

    def client(self, **metadata: Json) -> "App":
        """A client that registered itself."""
        given = {
            "client_name": "An app",
            "redirect_uris": [CALLBACK],
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
            **metadata,
        }
        answer = self.http.post("/register", json=given)
        assert answer.status_code == 201, answer.text
        found = answer.json()
        return App(self, found["client_id"], found.get("client_secret"), found["redirect_uris"][0])

    def call(self, token: str | None, tool: str, path: str = "/mcp", **arguments: Json) -> Response:
        """A tools/call of a plain client."""
        return self.send(token, "tools/call", {"name": tool, "arguments": arguments}, path, name=tool)

    def send(
        self, token: str | None, method: str, params: dict[str, Json], path: str = "/mcp", name: str | None = None
    ) -> Response:
        """A request of a plain client, in the present era."""
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
        return self.raw(token, method, json.dumps(message).encode(), path, name)

    def raw(self, token: str | None, method: str, body: bytes, path: str = "/mcp", name: str | None = None) -> Response:
        """Whatever bytes a client of the present era sends."""
        headers = {
            "accept": "application/json, text/event-stream",
            "content-type": "application/json",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": method,
            **({} if name is None else {"mcp-name": name}),
            **({} if token is None else {"authorization": f"Bearer {token}"}),
        }
        return self.http.post(path, content=body, headers=headers)

    def tools(self, token: str, path: str = "/mcp") -> list[str]:
        """The names of the tools that are listed."""
        return [tool["name"] for tool in self.send(token, "tools/list", {}, path).json()["result"]["tools"]]


@dataclass
class Person:
    """Somebody in a browser."""

    house: House
    name: str
    browser: TestClient

    def sign_in(self, password: str = PASSWORD, onwards: str = "/account") -> Response:
        """Fill in the login page."""
        path = f"/login?{urlencode({'next': onwards})}"
        key = key_in(self.browser.get(path))
        return self.browser.post(path, data={"key": key, "login": self.name, "password": password})

    def decide(self, address: str, decision: str = "allow", without: tuple[str, ...] = ()) -> Response:
        """Answer the consent page."""
        page = self.browser.get(address)
        assert page.status_code == 200, page.text
        scopes = [scope for scope in scopes_in(page) if scope not in without]
        return self.browser.post(address, data={"key": key_in(page), "decision": decision, "scope": scopes})


@dataclass
class App:
    """An OAuth client."""

    house: House
    id: str
    secret: str | None
    callback: str
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def challenge(self) -> str:
        """The PKCE challenge of its verifier."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def address(self, **changes: str | None) -> str:
        """Where it sends a browser; a parameter that is None is left out."""
        given = {
            "response_type": "code",
            "client_id": self.id,
            "redirect_uri": self.callback,
            "state": "xyz",
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
            **changes,
        }
        return f"/authorize?{urlencode({name: value for name, value in given.items() if value is not None})}"

    def code(self, person: Person, without: tuple[str, ...] = (), **changes: str | None) -> str:
        """The code that a person's consent gives it."""
        answer = person.decide(self.address(**changes), without=without)
        return answered(answer)["code"]

    def token(self, **form: str | None) -> Response:
        """A request to the token endpoint, as the client that it is."""
        given = {"client_id": self.id, **({} if self.secret is None else {"client_secret": self.secret}), **form}
        return self.house.http.post("/token", data={name: value for name, value in given.items() if value is not None})

    def redeem(self, code: str, **changes: str | None) -> Response:
        """A code for tokens."""
        form = {"redirect_uri": self.callback, "code_verifier": self.verifier, **changes}
        return self.token(grant_type="authorization_code", code=code, **form)

    def refresh(self, token: str, **changes: str | None) -> Response:
        """New tokens."""
        return self.token(grant_type="refresh_token", refresh_token=token, **changes)

    def tokens(self, person: Person, without: tuple[str, ...] = (), **changes: str | None) -> dict[str, Any]:
        """What the whole way gives."""
        resource = {"resource": changes["resource"]} if "resource" in changes else {}
        answer = self.redeem(self.code(person, without, **changes), **resource)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


def key_in(page: Response) -> str:
    """What protects the form of a page."""
    found = re.search(r'name="key" value="([^"]+)"', page.text)
    assert found is not None, page.text
    return found[1]


def scopes_in(page: Response) -> list[str]:
    """The scopes that a consent page shows."""
    return re.findall(r'name="scope" value="([^"]+)"', page.text)


def answered(response: Response) -> dict[str, str]:
    """What a redirect to a client carries; each parameter is there once."""
    assert response.status_code == 303, response.text
    query = parse_qs(urlsplit(response.headers["location"]).query, strict_parsing=True)
    assert all(len(values) == 1 for values in query.values())
    return {name: values[0] for name, values in query.items()}


@pytest.fixture
def house(dispatcher_of: Callable[..., Dispatcher]) -> Iterator[House]:
    """A guarded server with two worlds, on the test's own database."""
    dispatcher = dispatcher_of(Desk, Safe)
    context = AuthContext(dispatcher.store, dispatcher.registry, BASE, Lifetimes(belief=timedelta()))
    app = guarded_app(dispatcher, (HOST,), context, Fetcher(verify=TLS))
    with TestClient(app, base_url=BASE, follow_redirects=False) as http:
        yield House(context, http, dispatcher)


@pytest.fixture
def ada(house: House) -> Person:
    """Somebody."""
    return house.person("ada")


@pytest.fixture
def app(house: House) -> App:
    """A public client."""
    return house.client()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the certificate of a server of documents."""
    folder = tmp_path_factory.mktemp("tls")
    certify(folder)
    return folder


@pytest.fixture
def publisher(certificate: Path) -> Iterator[Publisher]:
    """A server of documents."""
    with publishing(certificate) as found:
        yield found


@pytest.fixture
def reading(house: House, publisher: Publisher) -> Iterator[House]:
    """The same server, which may fetch from this machine."""
    app = guarded_app(house.dispatcher, ("127.0.0.1",), house.context, Fetcher(private=True, verify=publisher.trusted))
    with TestClient(app, base_url=BASE, follow_redirects=False) as http:
        yield House(house.context, http, house.dispatcher)
