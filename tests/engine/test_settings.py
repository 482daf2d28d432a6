"""Settings come from the environment, with defaults that are the user's own."""

from dataclasses import asdict, fields
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from engine.limits import DEFAULT, Limits
from engine.settings import Settings


def test_defaults_are_on_this_machine_and_the_users_own() -> None:
    settings = Settings(data_dir=Path("/data"))
    assert (settings.host, settings.port, settings.auth, settings.worlds_path) == ("127.0.0.1", 8000, "oauth", None)
    assert settings.url == "http://127.0.0.1:8000"


def test_environment_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("PORT", "9000"), ("DATA_DIR", "/elsewhere"), ("AUTH", "off"), ("WORLDS_PATH", "/a:/b")):
        monkeypatch.setenv(f"TURNKEEPER_{name}", value)
    settings = Settings()
    assert (settings.port, settings.data_dir, settings.auth) == (9000, Path("/elsewhere"), "off")
    assert settings.worlds_path == "/a:/b"


def test_public_url_loses_its_trailing_slash() -> None:
    assert Settings(public_url="https://example.org/t/").url == "https://example.org/t"


def test_each_limit_is_a_setting_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().limits == DEFAULT
    wanted = {limit.name: 2000 + number for number, limit in enumerate(fields(Limits))}
    for name, value in wanted.items():
        monkeypatch.setenv(f"TURNKEEPER_LIMIT_{name.upper()}", str(value))
    assert asdict(Settings().limits) == wanted


def test_each_fact_of_a_provider_is_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNKEEPER_PROVIDERS__MY_CORP__CLIENT_ID", "id")
    monkeypatch.setenv("TURNKEEPER_PROVIDERS__MY_CORP__CLIENT_SECRET", "hush")
    monkeypatch.setenv("TURNKEEPER_PROVIDERS__MY_CORP__ISSUER", " https://corp.example ")
    monkeypatch.setenv("TURNKEEPER_ALLOW", "@corp.example")
    settings = Settings()
    assert list(settings.providers) == ["my_corp"] and settings.allow == "@corp.example"
    assert settings.providers["my_corp"].issuer == "https://corp.example"
    assert "hush" not in repr(settings)


def test_each_fact_of_a_server_is_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNKEEPER_SERVERS__HOTEL__URL", "https://hotel.example/mcp")
    monkeypatch.setenv("TURNKEEPER_SERVERS__HOTEL__TOKEN", "hush")
    settings = Settings()
    assert settings.servers["hotel"].url == "https://hotel.example/mcp" and "hush" not in repr(settings)
    monkeypatch.setenv("TURNKEEPER_SERVERS__HOTEL__URL", "hotel.example")
    with pytest.raises(ValidationError):
        Settings()


def test_providers_may_be_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNKEEPER_PROVIDERS", '{"github": {"client_id": "id", "client_secret": "hush"}}')
    assert Settings().providers["github"].client_id == "id"


@pytest.mark.parametrize("said", ["90d", "P90D", "90 days"])
def test_retention_is_a_duration(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("TURNKEEPER_JOURNAL_RETENTION", said)
    assert Settings().journal_retention == timedelta(days=90)


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 70000},
        {"auth": "none"},
        {"limit_rows": 0},
        {"limit_seconds": float("inf")},
        {"journal_retention": "-1 days"},
    ],
)
def test_wrong_setting_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings(**wrong)  # type: ignore[arg-type]


def test_proxies_are_believed_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().proxies == []
    monkeypatch.setenv("TURNKEEPER_PUBLIC_URL", "https://play.example")
    assert Settings().proxies == ["127.0.0.1", "::1", "::ffff:127.0.0.1/128"]
    monkeypatch.setenv("TURNKEEPER_TRUSTED_PROXIES", "10.0.0.0/8,192.0.2.7")
    assert Settings().proxies == ["10.0.0.0/8", "192.0.2.7", "::ffff:10.0.0.0/104", "::ffff:192.0.2.7/128"]
    monkeypatch.setenv("TURNKEEPER_TRUSTED_PROXIES", "proxy.example")
    with pytest.raises(ValidationError, match="does not appear to be an IPv4 or IPv6 network"):
        Settings()
