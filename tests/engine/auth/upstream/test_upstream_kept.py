"""What a provider gives is for whoever has the cookie, the code or the token that it came to, and for nobody else."""

import json

from sqlmodel import SQLModel, select

from engine.auth.people.browsers import upstream_of
from engine.auth.tokens import hashed
from engine.sealing import unsealed
from engine.store.access import BrowserRow, CodeRow, RefreshRow, TokenRow
from tests.engine.auth.conftest import App, House, Person, key_in
from tests.engine.auth.upstream.conftest import Visitor, visitor
from tests.engine.auth.upstream.standin import ACCESS, REFRESH

GIVEN = {"provider": "corp", "access_token": ACCESS, "refresh_token": REFRESH, "token_type": "Bearer"}


def kept(house: House, row: type[SQLModel], token: str) -> dict[str, object]:
    """What a row of a token has for its bearer."""
    text = house.context.store.read(lambda tx: tx.db.exec(select(row).where(row.hash == hashed(token))).one().sealed)  # type: ignore[attr-defined]
    found: dict[str, object] = json.loads(unsealed(text, token) or "null")
    return {name: value for name, value in found.items() if name != "expires_at"}


def held(house: House) -> str:
    """All that the database holds of people's sign-ins."""
    rows = (BrowserRow, CodeRow, RefreshRow, TokenRow)
    return house.context.store.read(lambda tx: repr([tx.db.exec(select(row)).all() for row in rows]))


def signed_in(house: House, ada: Visitor) -> tuple[App, Person]:
    """Somebody who came from a provider, and a client."""
    assert ada.comes().status_code == 303
    return house.client(), Person(house, "ada", ada.browser)


def test_it_is_sealed_under_the_cookie(house: House, ada: Visitor) -> None:
    signed_in(house, ada)
    token = ada.browser.cookies["turnkeeper"]
    assert kept(house, BrowserRow, token) == GIVEN
    assert "id_token" not in (house.context.store.read(lambda tx: upstream_of(tx, token)) or "")


def test_it_goes_on_to_code_tokens_and_their_successors(house: House, ada: Visitor) -> None:
    app, person = signed_in(house, ada)
    code = app.code(person)
    assert kept(house, CodeRow, code) == GIVEN
    first = app.redeem(code).json()
    second = app.refresh(first["refresh_token"]).json()
    for tokens in (first, second):
        assert kept(house, TokenRow, tokens["access_token"]) == GIVEN
        assert kept(house, RefreshRow, tokens["refresh_token"]) == GIVEN


def test_stolen_database_and_another_bearer_read_nothing(house: House, ada: Visitor) -> None:
    app, person = signed_in(house, ada)
    tokens = app.tokens(person)
    assert ACCESS not in held(house) and REFRESH not in held(house)
    _, other = signed_in(house, visitor(house))
    theirs = app.tokens(other)["access_token"]

    def sealed() -> str:
        return (
            house.context.store.read(
                lambda tx: tx.db.exec(
                    select(TokenRow.sealed).where(TokenRow.hash == hashed(tokens["access_token"]))
                ).one()
            )
            or ""
        )

    assert unsealed(sealed(), tokens["access_token"]) is not None
    for wrong in (theirs, tokens["refresh_token"], hashed(tokens["access_token"])):
        assert unsealed(sealed(), wrong) is None


def test_no_answer_to_a_client_or_a_browser_has_it(house: House, ada: Visitor) -> None:
    app, person = signed_in(house, ada)
    code = app.code(person)
    said = [ada.browser.get("/account").text, app.redeem(code).text, app.token(grant_type="x").text]
    assert not any(ACCESS in text or REFRESH in text for text in said)


def test_without_a_provider_nothing_is_kept(house: House) -> None:
    person = house.person("bob")
    assert house.context.store.read(lambda tx: upstream_of(tx, person.browser.cookies["turnkeeper"])) is None


def test_signing_out_forgets_it(house: House, ada: Visitor) -> None:
    _, person = signed_in(house, ada)
    token = ada.browser.cookies["turnkeeper"]
    page = person.browser.get("/account").text
    assert "Password" not in page
    person.browser.post("/logout", data={"key": key_in(person.browser.get("/account"))})
    assert house.context.store.read(lambda tx: upstream_of(tx, token)) is None and not ada.is_in()
