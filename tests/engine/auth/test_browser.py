"""Real clients and a real browser: the SDK's own OAuth client, with Chromium at the login and the consent."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx2
import pytest
from anyio import to_thread
from mcp.client import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from tests.browsing import chromium, consent, guarded, needs_chromium, sign_in
from tests.serving import Served

pytestmark = [pytest.mark.anyio, needs_chromium]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Served]:
    """A guarded server in which ada has an account."""
    with guarded(tmp_path) as served:
        yield served


@dataclass
class Callback:
    """Where a native client waits for its code, on this machine."""

    port: int
    found: dict[str, str] = field(default_factory=dict)
    came: threading.Event = field(default_factory=threading.Event)


@contextmanager
def waiting() -> Iterator[Callback]:
    """A native client's server for one redirect."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            if "code" in query or "error" in query:
                callback.found = {name: values[0] for name, values in query.items()}
                callback.came.set()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"You can close this page.")

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        callback = Callback(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield callback
        server.shutdown()
        thread.join()


class Kept:
    """What an OAuth client keeps between runs."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_sdks_client_gets_in_by_a_persons_consent_and_asks_for_more_where_it_must(
    house: Served, mode: str
) -> None:
    kept, loop = Kept(), asyncio.get_running_loop()
    with waiting() as callback:

        async def redirect(address: str) -> None:
            await to_thread.run_sync(consent, address)

        async def answered() -> AuthorizationCodeResult:
            await to_thread.run_sync(callback.came.wait, 20.0)
            found: Any = callback.found
            return AuthorizationCodeResult(code=found["code"], state=found["state"], iss=found["iss"])

        provider = OAuthClientProvider(
            server_url=f"{house.url}/mcp",
            client_metadata=OAuthClientMetadata(
                client_name="An SDK client", redirect_uris=[f"http://127.0.0.1:{callback.port}/callback"]
            ),
            storage=kept,
            redirect_handler=redirect,
            callback_handler=answered,
        )
        async with httpx2.AsyncClient(auth=provider, timeout=60) as http:
            async with Client(streamable_http_client(f"{house.url}/mcp", http_client=http), mode=mode) as client:
                result = await client.call_tool("counter_add", {"a": 2})
                assert result.structured_content is not None and result.structured_content["result"] == (
                    "Added 2, total is now 3"
                )
    assert loop.is_running() and kept.tokens is not None and kept.tokens.refresh_token is not None
    await anyio.lowlevel.checkpoint()


def test_pages_fit_a_phone_and_a_desk_in_light_and_dark(house: Served) -> None:
    with chromium() as browser:
        for width, scheme in ((360, "light"), (360, "dark"), (1280, "light")):
            viewed: Any = {"viewport": {"width": width, "height": 740}, "color_scheme": scheme}
            page = browser.new_page(**viewed)
            page.goto(f"{house.url}/login")
            sign_in(page)
            page.wait_for_url("**/account")
            assert page.get_by_role("heading", level=1).inner_text() == "ada"
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            background = page.evaluate("getComputedStyle(document.querySelector('main')).backgroundColor")
            assert (background == "rgb(255, 255, 255)") is (scheme == "light")
            page.close()
