"""A server whose public URL changes: what was granted under the old one opens nothing under the new."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from engine.auth.granting.documents import Fetcher
from engine.web.guarded import guarded_app
from tests.engine.auth.conftest import BASE, App, House, Person

SECRET = {"token_endpoint_auth_method": "client_secret_post"}
ELSEWHERE = ["http://127.0.0.1:9000", f"{BASE}0", f"{BASE}/play"]
"""Another port, one that the old URL is the beginning of, and a path below it."""


@pytest.fixture(params=ELSEWHERE)
def moved(house: House, request: pytest.FixtureRequest) -> Iterator[House]:
    """The same server under another public URL."""
    context = replace(house.context, base=request.param)
    app = guarded_app(house.dispatcher, ("127.0.0.1",), context, Fetcher())
    with TestClient(app, base_url=BASE, follow_redirects=False) as http:
        yield House(context, http, house.dispatcher)


@pytest.mark.parametrize("reach", ["", "/worlds/desk/mcp", "session"])
def test_token_of_the_old_url_opens_no_endpoint(house: House, moved: House, ada: Person, app: App, reach: str) -> None:
    handle = house.call(app.tokens(ada)["access_token"], "desk_knock").json()["result"]["structuredContent"]["session"]
    path = f"/sessions/{handle}/mcp" if reach == "session" else reach
    token = app.tokens(ada, resource=BASE + path)["access_token"]
    assert house.send(token, "tools/list", {}, path or "/mcp").status_code == 200
    for endpoint in ("/mcp", "/worlds/desk/mcp", "/worlds/safe/mcp", f"/sessions/{handle}/mcp"):
        assert moved.send(token, "tools/list", {}, endpoint).status_code == 401


def test_code_and_refresh_token_of_the_old_url_give_none_of_the_new(
    house: House, moved: House, ada: Person, app: App
) -> None:
    resource = f"{BASE}/worlds/desk/mcp"
    refresh, code = app.tokens(ada, resource=resource)["refresh_token"], app.code(ada, resource=resource)
    there = replace(app, house=moved)
    assert there.refresh(refresh).json()["error"] == there.redeem(code).json()["error"] == "invalid_grant"
    assert app.refresh(refresh).status_code == app.redeem(code).status_code == 200


def test_token_of_the_old_url_is_not_active_at_the_new_and_can_be_taken_back(
    house: House, moved: House, ada: Person
) -> None:
    app = house.client(**SECRET)
    token = app.tokens(ada)["access_token"]
    form = {"token": token, "client_id": app.id, "client_secret": app.secret}
    assert house.http.post("/introspect", data=form).json()["active"] is True
    assert moved.http.post("/introspect", data=form).json() == {"active": False}
    signed_in = {"cookie": f"turnkeeper={ada.browser.cookies['turnkeeper']}"}
    assert "address is another now" in moved.http.get("/account", headers=signed_in).text
    assert moved.http.post("/revoke", data=form).status_code == 200
    assert house.http.post("/introspect", data=form).json() == {"active": False}
