"""The way to a token by a code: what a client gets, and what it does not, case by case."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.engine.auth.conftest import BASE, CALLBACK, App, House, Person, answered


def test_public_client_with_s256_gets_tokens_that_open_the_endpoints(house: House, ada: Person, app: App) -> None:
    tokens = app.tokens(ada)
    assert tokens["token_type"] == "Bearer" and 3590 < tokens["expires_in"] <= 3600
    assert tokens["scope"] == "desk:read desk:write safe:read safe:write"
    answer = house.call(tokens["access_token"], "desk_knock")
    assert answer.json()["result"]["structuredContent"]["result"] == "knocked"


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge_method": "S512"},
        {"code_challenge": "short"},
        {"code_challenge": None},
    ],
    ids=["no PKCE", "plain", "missing method", "unknown method", "malformed challenge", "missing challenge"],
)
def test_without_s256_no_code_is_given(ada: Person, app: App, changes: dict[str, str | None]) -> None:
    told = answered(ada.browser.get(app.address(**changes)))
    assert (told["error"], told["state"], told["iss"]) == ("invalid_request", "xyz", BASE)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": CALLBACK + "/more"},
        {"redirect_uri": CALLBACK + "?more"},
        {"redirect_uri": "http://localhost:5555/callback"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": 'http://127.0.0.1:5555/callback"'},
    ],
)
def test_unknown_client_or_redirect_uri_is_told_to_the_person_and_never_redirected(
    ada: Person, app: App, changes: dict[str, str | None]
) -> None:
    page = ada.browser.get(app.address(**changes))
    assert page.status_code == 400 and "location" not in page.headers
    assert "evil.example" not in page.text


def test_loopback_redirect_may_have_any_port(ada: Person, app: App) -> None:
    elsewhere = "http://127.0.0.1:61234/callback"
    code = app.code(ada, redirect_uri=elsewhere)
    assert app.redeem(code, redirect_uri=CALLBACK).json()["error"] == "invalid_grant"
    assert app.redeem(code, redirect_uri=elsewhere).status_code == 200


def test_redirect_uri_may_be_left_out_where_there_is_just_one(ada: Person, app: App) -> None:
    code = app.code(ada, redirect_uri=None)
    assert app.redeem(code, redirect_uri=None).status_code == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "x" * 43}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"redirect_uri": "http://127.0.0.1:1/callback"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_grant"),
        ({"resource": "https://elsewhere.example/mcp"}, "invalid_target"),
        ({"resource": f"{BASE}/worlds/nowhere/mcp"}, "invalid_target"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"client_secret": "guessed"}, "invalid_client"),
    ],
)
def test_failure_of_a_redemption_does_not_consume_the_code(
    ada: Person, app: App, changes: dict[str, str | None], error: str
) -> None:
    code = app.code(ada)
    refused = app.redeem(code, **changes)
    assert refused.json()["error"] == error and refused.status_code in (400, 401)
    assert "no-store" in refused.headers["cache-control"]
    assert app.redeem(code).status_code == 200


def test_another_clients_code_is_no_code(house: House, ada: Person, app: App) -> None:
    other = house.client()
    other.verifier = app.verifier
    code = app.code(ada)
    assert other.redeem(code).json()["error"] == "invalid_grant"
    assert app.redeem(code).status_code == 200


def test_replayed_code_revokes_what_came_of_it(house: House, ada: Person, app: App) -> None:
    code = app.code(ada)
    tokens = app.redeem(code).json()
    assert house.call(tokens["access_token"], "desk_knock").status_code == 200
    assert app.redeem(code).json()["error"] == "invalid_grant"
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert house.call(tokens["access_token"], "desk_knock").status_code == 401


def test_replay_that_is_not_verified_revokes_nothing(house: House, ada: Person, app: App) -> None:
    code = app.code(ada)
    tokens = app.redeem(code).json()
    assert app.redeem(code, code_verifier="x" * 43).json()["error"] == "invalid_grant"
    assert house.call(tokens["access_token"], "desk_knock").status_code == 200


def test_of_two_redemptions_at_once_one_wins(house: House, ada: Person, app: App) -> None:
    code = app.code(ada)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: app.redeem(code), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]


def test_code_expires(house: House, ada: Person, app: App) -> None:
    code = app.code(ada)
    house.context.store.offset = timedelta(minutes=6)
    assert app.redeem(code).json()["error"] == "invalid_grant"


def test_denial_is_told_with_state_and_issuer(ada: Person, app: App) -> None:
    told = answered(ada.decide(app.address(), "deny"))
    assert (told["error"], told["state"], told["iss"]) == ("access_denied", "xyz", BASE)


def test_success_carries_the_issuer_once(ada: Person, app: App) -> None:
    found = answered(ada.decide(app.address()))
    assert set(found) == {"code", "state", "iss"} and found["iss"] == BASE


def test_scopes_that_a_person_leaves_out_are_not_granted(house: House, ada: Person, app: App) -> None:
    tokens = app.tokens(ada, without=("desk:write", "safe:read", "safe:write"))
    assert tokens["scope"] == "desk:read"
    refused = house.call(tokens["access_token"], "desk_knock")
    assert refused.status_code == 403


def test_unknown_scopes_are_left_out_and_none_at_all_is_refused(ada: Person, app: App) -> None:
    assert app.tokens(ada, scope="desk:read moon:walk")["scope"] == "desk:read"
    assert answered(ada.browser.get(app.address(scope="moon:walk")))["error"] == "invalid_scope"


def test_repeated_parameter_is_refused(ada: Person, app: App) -> None:
    assert answered(ada.browser.get(app.address() + "&scope=a&scope=b"))["error"] == "invalid_request"
    assert ada.browser.get(app.address() + "&client_id=other").status_code == 400
    form = f"grant_type=authorization_code&grant_type=refresh_token&client_id={app.id}"
    headers = {"content-type": "application/x-www-form-urlencoded"}
    refused = ada.house.http.post("/token", content=form, headers=headers)
    assert refused.json()["error"] == "invalid_request"


def test_other_response_types_and_grants_there_are_not(ada: Person, app: App) -> None:
    assert answered(ada.browser.get(app.address(response_type="token")))["error"] == "unsupported_response_type"
    assert app.token(grant_type="password").json()["error"] == "unsupported_grant_type"
    assert app.token().json()["error"] == "unsupported_grant_type"


def test_body_has_to_be_a_form(app: App) -> None:
    refused = app.house.http.post("/token", json={"grant_type": "authorization_code"})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
