"""Who is let in from elsewhere: nobody, until the operator says whom."""

from typing import Any

import pytest

from engine.auth.upstream.allowing import allowing_of
from engine.auth.upstream.identities import identity_of
from engine.errors import Refused
from tests.engine.auth.upstream.conftest import HouseOf, visitor
from tests.engine.auth.upstream.standin import StandIn

CLAIMS = {
    "sub": "auth0|7",
    "name": "Ada",
    "email": "Ada@Example.org",
    "email_verified": True,
    "hd": "example.org",
    "groups": ["players", "Game, masters"],
    "admin": True,
    "level": 3,
    "realm_access": {"roles": ["player"]},
    "https://example.org/team": "red",
    "nothing": None,
}
FITTING = [
    "ada@example.org",
    "ADA@EXAMPLE.ORG",
    "@example.org",
    "corp:ada@example.org",
    "Corp:@example.org",
    "corp:*",
    "corp:sub=auth0|7",
    "corp:hd=example.org",
    "corp:groups=players",
    "corp:groups=Game%2C masters",
    "corp:admin=true",
    "corp:level=3",
    "corp:realm_access.roles=player",
    "corp:https://example.org/team=red",
    "mallory@example.org,\n  @example.org  ,,",
]
OTHERS = [
    "",
    " , ",
    "ada@example.com",
    "da@example.org",
    "@ple.org",
    "@org.example.org",
    "club:ada@example.org",
    "club:*",
    "corp:sub=auth0|8",
    "corp:sub=auth0",
    "corp:groups=player",
    "corp:groups=Players",
    "corp:admin=True",
    "corp:nothing=None",
    "corp:nothing=none",
    "corp:realm_access=player",
    "corp:realm_access.roles.x=player",
    "corp:missing=",
    "corp:missing.more=x",
]
WRONG = {
    "*": "it is no address",
    "ada": "it is no address",
    "ada@": "it is no address",
    "ada@localhost": "it is no address",
    "a@b@example.org": "it is no address",
    "ada lovelace@example.org": "it is no address",
    "github:*": "there is no provider 'github'",
    "https://example.org": "there is no provider 'https'",
    "groups=players": "what a claim means is up to its provider",
    "corp:": "it is no address",
    "corp:missing=": "it is no address",
}


def allows(given: str, **changes: Any) -> bool:
    """Whether a setting lets in Ada of corp, if she is so."""
    return allowing_of(given, ["corp", "club"]).allows(
        "corp", identity_of("https://corp.example", {**CLAIMS, **changes})
    )


@pytest.mark.parametrize("given", FITTING)
def test_who_fits_a_rule_is_let_in(given: str) -> None:
    assert allows(given)


@pytest.mark.parametrize("given", [one for one in OTHERS if one not in WRONG])
def test_who_fits_no_rule_is_not(given: str) -> None:
    assert not allows(given)


@pytest.mark.parametrize("verified", [False, None, "yes", 1, [], "false"])
@pytest.mark.parametrize("given", ["ada@example.org", "@example.org", "corp:@example.org"])
def test_mail_that_was_not_verified_lets_nobody_in(given: str, verified: object) -> None:
    assert not allows(given, email_verified=verified)


@pytest.mark.parametrize(
    "mail", ["ada@evil.org@example.org", "ada@example.org\n", "@example.org", "a b@example.org", 7]
)
def test_mail_that_is_no_address_lets_nobody_in(mail: object) -> None:
    assert not allows("@example.org", email=mail)


@pytest.mark.parametrize("given", WRONG)
def test_rule_that_means_nobody_is_refused_in_words(given: str) -> None:
    with pytest.raises(Refused) as refused:
        allowing_of(f"@example.org, {given}", ["corp", "club"])
    assert WRONG[given] in str(refused.value) and "TURNKEEPER_ALLOW" in str(refused.value)


def test_nobody_is_let_in_by_default_and_told_what_whoever_runs_the_server_can_do(
    house_of: HouseOf, corp: StandIn
) -> None:
    corp.claims = {"sub": "<b>7", "name": "<i>Ada"}
    with house_of("", corp=corp.settings()) as house:
        ada = visitor(house)
        answer = ada.comes()
        assert answer.status_code == 403
        assert "Nobody from Corp is let in so far" in answer.text and "corp:sub=&lt;b&gt;7" in answer.text
        assert "Ada@Example.org" in answer.text and "<b>" not in answer.text
        assert not ada.is_in() and not ada.browser.cookies
        assert house.context.store.read(lambda tx: tx.people("<b>7")) == []


def test_who_is_not_listed_is_told_so_while_others_come_in(house_of: HouseOf, corp: StandIn) -> None:
    with house_of("corp:groups=players", corp=corp.settings()) as house:
        answer = visitor(house).comes()
        assert answer.status_code == 403 and "nobody let you in here" in answer.text
        assert "so far" not in answer.text
        corp.claims = {"groups": ["players"]}
        assert visitor(house).comes().status_code == 303


def test_who_is_listed_no_more_does_not_come_in_again(house_of: HouseOf, corp: StandIn) -> None:
    with house_of("@example.org", corp=corp.settings()) as house:
        assert visitor(house).comes().status_code == 303
        corp.claims = {"email": "ada@elsewhere.example"}
        assert visitor(house).comes().status_code == 403
