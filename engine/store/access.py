"""The tables of who may: accounts, browsers, clients, grants and tokens.

Whatever opens a door (a code, a token, a cookie, a link) is kept as its SHA-256
only; `auth.tokens` makes and finds them. What must be read again is sealed under
a key that only the bearer has. Scopes are words with a space between them.
"""

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from engine.store import schema as schema  # Names of keys come from its convention, so it is loaded first.


class AccountRow(SQLModel, table=True):
    """A local account: a person who signs in with a name and a password. `login` is in lower case."""

    __tablename__ = "account"
    person_id: int = Field(primary_key=True, foreign_key="person.id", ondelete="CASCADE")
    login: str = Field(unique=True)
    password: str
    created_at: str


class BrowserRow(SQLModel, table=True):
    """A browser in which a person is signed in, by the hash of its cookie.

    `sealed` is what the upstream provider gave at the sign-in, for whoever has the cookie.
    """

    __tablename__ = "browser"
    hash: str = Field(primary_key=True)
    person_id: int = Field(foreign_key="person.id", ondelete="CASCADE", index=True)
    sealed: str | None = None
    created_at: str
    expires_at: str = Field(index=True)


class ClientRow(SQLModel, table=True):
    """An OAuth client (RFC 7591's metadata in part).

    `kind` says where it is from: `registered` by the operator, `dynamic` by itself, or a `document` at the URL that is
    its id. `service_id` is the person a client acts as without any other (client credentials). `redirect_uris` and
    `grant_types` are JSON lists. A document is fetched again after `expires_at`, another client is gone then.
    """

    __tablename__ = "client"
    id: str = Field(primary_key=True)
    kind: str
    name: str
    secret: str | None = None
    method: str
    redirect_uris: str
    grant_types: str
    scope: str | None = None
    uri: str | None = None
    service_id: int | None = Field(default=None, foreign_key="person.id", ondelete="CASCADE", index=True)
    created_at: str
    used_at: str | None = None
    expires_at: str | None = Field(default=None, index=True)


class GrantRow(SQLModel, table=True):
    """What a person lets a client do, from a consent on: the family of the tokens that came of it.

    `resource` is the URL whose reach the tokens have. An ended grant stays until its tokens would have expired, so
    that a replayed code or refresh token is recognized.
    """

    __tablename__ = "oauth_grant"
    id: int | None = Field(default=None, primary_key=True)
    person_id: int = Field(foreign_key="person.id", ondelete="CASCADE", index=True)
    client_id: str = Field(foreign_key="client.id", ondelete="CASCADE", index=True)
    resource: str
    scope: str
    redirect_uri: str | None = None
    created_at: str
    used_at: str
    ended_at: str | None = None


class CodeRow(SQLModel, table=True):
    """An authorization code (RFC 6749, 4.1) with its PKCE challenge (RFC 7636, S256). Used ones stay until they expire.

    `explicit` says whether the request named its redirect URI; `sealed` is the upstream provider's part of the grant.
    """

    __tablename__ = "code"
    hash: str = Field(primary_key=True)
    grant_id: int = Field(foreign_key="oauth_grant.id", ondelete="CASCADE", index=True)
    redirect_uri: str
    explicit: bool
    challenge: str
    sealed: str | None = None
    expires_at: str = Field(index=True)
    used_at: str | None = None


class RefreshRow(SQLModel, table=True):
    """A refresh token. `successor` is what took its place, sealed under a key that is derived from this very token."""

    __tablename__ = "refresh"
    hash: str = Field(primary_key=True)
    grant_id: int = Field(foreign_key="oauth_grant.id", ondelete="CASCADE", index=True)
    sealed: str | None = None
    created_at: str
    expires_at: str = Field(index=True)
    rotated_at: str | None = None
    successor: str | None = None


class TokenRow(SQLModel, table=True):
    """An access token: of a grant, or a personal one, which has a name instead and was made at the command line."""

    __tablename__ = "token"
    hash: str = Field(primary_key=True)
    person_id: int = Field(foreign_key="person.id", ondelete="CASCADE", index=True)
    grant_id: int | None = Field(default=None, foreign_key="oauth_grant.id", ondelete="CASCADE", index=True)
    name: str | None = None
    resource: str
    scope: str
    sealed: str | None = None
    created_at: str
    expires_at: str | None = Field(default=None, index=True)


class InvitationRow(SQLModel, table=True):
    """A link that can be followed once, by its hash: to make the `first` account, another `account`, or a `password`.

    `person_id` is whose password is set anew; `login` what a new account is to be called.
    """

    __tablename__ = "invitation"
    hash: str = Field(primary_key=True)
    purpose: str
    person_id: int | None = Field(default=None, foreign_key="person.id", ondelete="CASCADE", index=True)
    login: str | None = None
    expires_at: str = Field(index=True)


class SpentRow(SQLModel, table=True):
    """A sign-in at a provider that came to its end, by the hash of its state: it has no second one."""

    __tablename__ = "spent"
    hash: str = Field(primary_key=True)
    expires_at: str = Field(index=True)


class AttemptRow(SQLModel, table=True):
    """Failures of late, by what they are counted for (a keyed hash of it): further ones wait until `until`."""

    __tablename__ = "attempt"
    key: str = Field(primary_key=True)
    failures: int
    until: str
    at: str = Field(index=True)


class OfferRow(SQLModel, table=True):
    """A role in a session for whoever goes by a name: an account's, or a mail address, of which it has a keyed hash.

    `id` is random; it is all that the journal says of whom a session is shared with. Who took it up, at once or at a
    sign-in, is a `taker`; nobody else can then. Without a role it was withdrawn, or is not made yet.
    """

    __tablename__ = "offer"
    __table_args__ = (UniqueConstraint("session_id", "whom"),)
    id: str = Field(primary_key=True)
    session_id: int = Field(foreign_key="session.id", ondelete="CASCADE")
    whom: str = Field(index=True)
    role: str | None = None
    created_at: str


class TakerRow(SQLModel, table=True):
    """Somebody whose share in a session came of an offer."""

    __tablename__ = "taker"
    offer_id: str = Field(primary_key=True, foreign_key="offer.id", ondelete="CASCADE")
    person_id: int = Field(primary_key=True, foreign_key="person.id", ondelete="CASCADE", index=True)


TABLES = (
    AccountRow,
    BrowserRow,
    ClientRow,
    GrantRow,
    CodeRow,
    RefreshRow,
    TokenRow,
    InvitationRow,
    SpentRow,
    AttemptRow,
    OfferRow,
    TakerRow,
)
