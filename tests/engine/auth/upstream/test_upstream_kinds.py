"""GitHub and plain OAuth servers: they say who somebody is at an address, not by an ID token."""

from typing import Any

import pytest
from pydantic import ValidationError

from engine.auth.upstream.providers import GITHUB_API, Kind, providers_of
from engine.errors import Refused
from engine.settings import ProviderSettings
from tests.engine.auth.upstream.conftest import HouseOf, visitor
from tests.engine.auth.upstream.standin import StandIn

MAILS = [
    {"email": "spare@example.org", "primary": False, "verified": True},
    {"email": "octo@example.org", "primary": True, "verified": True},
]


def github(corp: StandIn) -> ProviderSettings:
    """The stand-in as an enterprise's own GitHub."""
    corp.answers["/login/oauth/access_token"] = lambda to: to.says(corp.redeemed(to.form))
    return corp.settings(kind="github")


def people(house: Any) -> list[tuple[Any, ...]]:
    """Everybody who came from elsewhere."""
    query = "select issuer, subject, name, mail from person where issuer like 'http%'"
    return list(house.context.store.read(lambda tx: tx._execute(query, ()).fetchall()))


def test_github_says_who_by_a_number_and_which_mail_is_theirs(house_of: HouseOf, corp: StandIn) -> None:
    corp.mails = MAILS
    corp.user |= {"email": "public@example.org", "email_verified": True, "sub": "forged"}
    with house_of("github:*", github=github(corp)) as house:
        assert "Sign in with GitHub" in visitor(house).browser.get("/login").text
        assert visitor(house).comes("github").status_code == 303
        assert people(house) == [(corp.issuer, "583231", "octocat", "octo@example.org")]


@pytest.mark.parametrize("mails", [[], [{**MAILS[1], "verified": False}], [MAILS[0]], {"message": "x"}, [7], [{}]])
def test_mail_that_github_did_not_verify_is_none(house_of: HouseOf, corp: StandIn, mails: Any) -> None:
    corp.mails = mails
    with house_of("github:*", github=github(corp)) as house:
        assert visitor(house).comes("github").status_code == 303
        assert people(house) == [(corp.issuer, "583231", "octocat", None)]


@pytest.mark.parametrize("user", [{}, {"id": None}, {"id": True}, {"id": 1.5}, {"id": []}, {"sub": "x"}, []])
def test_github_that_names_nobody_lets_nobody_in(house_of: HouseOf, corp: StandIn, user: Any) -> None:
    corp.user = user
    with house_of("github:*", github=github(corp)) as house:
        ada = visitor(house)
        assert ada.comes("github").status_code == 502 and not ada.is_in()


def test_error_that_github_says_is_fine_is_one(house_of: HouseOf, corp: StandIn) -> None:
    settings = github(corp)
    corp.answers["/login/oauth/access_token"] = lambda to: to.says({"error": "bad_verification_code"})
    with house_of("github:*", github=settings) as house:
        answer = visitor(house).comes("github")
        assert answer.status_code == 502 and "(bad_verification_code)" in answer.text


def test_plain_provider_is_asked_where_the_operator_says(house_of: HouseOf, corp: StandIn) -> None:
    here = {"authorize_url": f"{corp.issuer}/authorize", "token_url": f"{corp.issuer}/token"}
    settings = corp.settings(kind="oauth", user_url=f"{corp.issuer}/userinfo", scope="who", **here)
    corp.userinfo = {"sub": "ada-1", "nickname": "ada", "email": "ada@example.org", "email_verified": True}
    with house_of("club:@example.org", club=settings) as house:
        assert visitor(house).comes("club").status_code == 303
        assert people(house) == [(corp.issuer, "ada-1", "ada", "ada@example.org")]


def test_names_of_people_are_lines(house_of: HouseOf, corp: StandIn) -> None:
    corp.claims = {"name": " A\nd\x1b[31ma\u202e " + "x" * 300, "email": "no address", "preferred_username": 7}
    with house_of(corp=corp.settings()) as house:
        assert visitor(house).comes().status_code == 303
        assert people(house) == [(corp.issuer, "248289761001", ("Ad[31ma " + "x" * 300)[:200], None)]


def test_known_providers_need_an_id_and_a_secret_alone() -> None:
    given = {
        name: ProviderSettings.model_validate({"client_id": "c", "client_secret": "s"}) for name in ("google", "github")
    }
    github, google = providers_of(given)
    assert (google.kind, google.issuer, google.label) == (Kind.OIDC, "https://accounts.google.com", "Google")
    assert github.kind is Kind.GITHUB and github.endpoints is not None
    assert github.endpoints.authorize == "https://github.com/login/oauth/authorize"
    assert github.endpoints.user == f"{GITHUB_API}/user"
    assert "'s'" not in repr(given) + repr((github, google))


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("corp", {}, "TURNKEEPER_PROVIDERS__CORP__ISSUER: it is not set"),
        ("corp", {"issuer": "http://corp.example"}, "Write an https:// address"),
        ("corp", {"issuer": "https://corp.example/?a=b"}, "Write an https:// address"),
        ("corp", {"issuer": "https://ada@corp.example"}, "Write an https:// address"),
        ("corp", {"issuer": "https://corp.example#x"}, "Write an https:// address"),
        ("corp", {"issuer": "corp.example"}, "Write an https:// address"),
        ("corp", {"issuer": "https://corp.example", "scope": "email"}, "openid is not in it"),
        ("co/rp", {"issuer": "https://corp.example"}, "its name stands in an address"),
        ("club", {"issuer": "https://club.example", "kind": "oauth"}, "CLUB__AUTHORIZE_URL: it is not set"),
    ],
)
def test_provider_that_cannot_be_used_is_refused_in_words(name: str, changes: dict[str, str], words: str) -> None:
    with pytest.raises(Refused) as refused:
        providers_of({name: ProviderSettings.model_validate({"client_id": "c", **changes})})
    assert words in str(refused.value)


def test_setting_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValidationError) as refused:
        ProviderSettings.model_validate({"client_id": "c", "client_secrte": "hush"})
    assert "hush" not in str(refused.value)
