"""Settings from the environment, all beginning with `TURNKEEPER_`."""

import ipaddress
from dataclasses import fields
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from engine.errors import StoreError
from engine.limits import DEFAULT, Limits

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
"""What this machine calls itself."""


class ProviderSettings(BaseModel):
    """A provider at which people may sign in: `TURNKEEPER_PROVIDERS__<NAME>__CLIENT_ID` and so on."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True)

    client_id: str = Field(min_length=1)
    client_secret: SecretStr | None = None
    issuer: str | None = None
    kind: Literal["oidc", "github", "oauth"] | None = None
    label: str | None = None
    scope: str | None = None
    authorize_url: str | None = None
    token_url: str | None = None
    user_url: str | None = None


class ServerSettings(BaseModel):
    """An MCP server whose tools effects may call: `TURNKEEPER_SERVERS__<NAME>__URL`, `…__TOKEN` (a bearer token)."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True)

    url: str = Field(pattern=r"^https?://[^\s/]")
    token: SecretStr | None = None


class Settings(BaseSettings):
    """What an operator can set. Without settings, everything is on this machine and the user's own."""

    model_config = SettingsConfigDict(
        env_prefix="TURNKEEPER_", env_nested_delimiter="__", frozen=True, hide_input_in_errors=True
    )

    database_url: str | None = None
    data_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("turnkeeper", appauthor=False)))
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    public_url: str | None = None
    allowed_hosts: str = ""
    trusted_proxies: str = "127.0.0.1, ::1"
    secrets: SecretStr = SecretStr("")
    auth: Literal["oauth", "off"] = "oauth"
    providers: dict[str, ProviderSettings] = {}
    allow: str = ""
    servers: dict[str, ServerSettings] = {}
    worlds_path: str | None = None
    database_writers: int = Field(default=8, ge=1)
    database_readers: int = Field(default=8, ge=1)
    webhook_networks: str = ""
    journal_retention: timedelta | None = Field(default=None, gt=timedelta())
    expired_for: timedelta | None = Field(default=None, ge=timedelta())
    lease: timedelta = Field(default=timedelta(seconds=15), ge=timedelta(seconds=1))
    limit_arguments: int = Field(default=DEFAULT.arguments, ge=1)
    limit_result: int = Field(default=DEFAULT.result, ge=1024)
    limit_data: int = Field(default=DEFAULT.data, ge=1)
    limit_rows: int = Field(default=DEFAULT.rows, ge=1)
    limit_at_once: int = Field(default=DEFAULT.at_once, ge=1)
    limit_snapshot: int = Field(default=DEFAULT.snapshot, ge=1)
    limit_seconds: float = Field(default=DEFAULT.seconds, gt=0, allow_inf_nan=False)
    limit_waiting: int = Field(default=DEFAULT.waiting, ge=1)
    limit_sessions: int = Field(default=DEFAULT.sessions, ge=1)
    limit_stored: int = Field(default=DEFAULT.stored, ge=1)
    limit_timers: int = Field(default=DEFAULT.timers, ge=1)
    limit_effects: int = Field(default=DEFAULT.effects, ge=1)
    limit_memory: int = Field(default=DEFAULT.memory, ge=0)

    @property
    def limits(self) -> Limits:
        """How much of anything there may be."""
        return Limits(**{limit.name: getattr(self, f"limit_{limit.name}") for limit in fields(Limits)})

    @property
    def is_postgres(self) -> bool:
        """Whether the database is PostgreSQL."""
        return (self.database_url or "").startswith(("postgresql://", "postgres://"))

    @property
    def sqlite_path(self) -> str:
        """The SQLite file. Raises StoreError for another kind of database."""
        if self.database_url is None:
            return str(self.data_dir / "turnkeeper.db")
        prefix, _, path = self.database_url.partition("sqlite:///")
        if prefix or not path or path.startswith(":memory:"):
            raise StoreError(
                "TURNKEEPER_DATABASE_URL is neither an SQLite file nor PostgreSQL.",
                hint="Write sqlite:////var/lib/turnkeeper.db, or postgresql://user@host/database.",
            )
        return path

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names under which the server may be reached: those that are set, and this machine's own."""
        return tuple(dict.fromkeys((*_words(self.allowed_hosts), self.host, *LOOPBACK)))

    @field_validator("trusted_proxies", "webhook_networks")
    @classmethod
    def _addresses(cls, value: str) -> str:
        for one in _words(value):
            ipaddress.ip_network(one, strict=False)
        return value

    @property
    def networks(self) -> list[str]:
        """The networks that webhooks may be in beside the internet's public ones."""
        return _words(self.webhook_networks)

    @property
    def proxies(self) -> list[str]:
        """The addresses and networks of the proxies that are believed who asks; none where none is expected."""
        found = _words(self.trusted_proxies) if self.public_url else []
        return [*found, *(mapped for one in found if (mapped := _mapped(one)) is not None)]

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches the server."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def url(self) -> str:
        """Where clients reach the server, without a trailing slash."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (self.public_url or f"http://{host}:{self.port}").rstrip("/")


def _words(value: str) -> list[str]:
    """What is listed in a setting, with commas or blanks between."""
    return value.replace(",", " ").split()


def _mapped(network: str) -> str | None:
    """An IPv4 network as a socket of IPv6 sees it (RFC 4291, section 2.5.5.2)."""
    found = ipaddress.ip_network(network, strict=False)
    return f"::ffff:{found.network_address}/{96 + found.prefixlen}" if found.version == 4 else None


def own_version() -> str:
    """Turnkeeper's version."""
    try:
        return version("turnkeeper")
    except PackageNotFoundError:
        return "0"
