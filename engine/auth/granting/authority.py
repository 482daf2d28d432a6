"""authlib's authorization server on our tables: its grants decide, our transactions carry out.

authlib is synchronous and knows no Starlette, so a request is read before and
all of this runs on a thread. What it does not know is added: resource indicators
(RFC 8707), PKCE for everybody, and redeeming in one transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2 import rfc6749 as oauth
from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError, InvalidScopeError
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from engine.auth.context import AuthContext
from engine.auth.granting import clients, grants
from engine.auth.granting.clients import Client
from engine.auth.reach import InvalidTarget, reach_of, reach_of_all, resource_of
from engine.auth.scopes import default, joined, known, split, worlds_for
from engine.store.access import CodeRow, GrantRow
from engine.types import Principal

METHODS = ("client_secret_basic", "client_secret_post", "none")
"""How a client may say who it is."""
GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials")


class InvalidTargetError(OAuth2Error):  # type: ignore[misc]
    """The resource is none that a token can be for (RFC 8707, section 2)."""

    error = "invalid_target"


@dataclass(frozen=True, slots=True)
class Answer:
    """What authlib makes of a request: a status, a body, headers."""

    status: int
    body: Any
    headers: Sequence[tuple[str, str]]

    @property
    def json(self) -> Any:
        """The body as a JSON value; authlib has a list of pairs for some."""
        return dict(self.body) if isinstance(self.body, list) else self.body


class ReadRequest(oauth.OAuth2Request):  # type: ignore[misc]
    """A request that was read: its parameters, each with all its values."""

    def __init__(self, context: AuthContext, headers: Mapping[str, str], form: Mapping[str, Sequence[str]]) -> None:
        # The transport is the operator's to secure, and the public URL says so; authlib would look at each request.
        super().__init__("POST", "https://" + context.base.partition("://")[2], headers=headers)
        self.payload = BasicOAuth2Payload({name: values[0] for name, values in form.items()})
        self.resources = tuple(form.get("resource", ()))

    @property
    def form(self) -> Mapping[str, str]:
        """The form's parameters."""
        found: Mapping[str, str] = self.payload.data
        return found


class Authority(oauth.AuthorizationServer):  # type: ignore[misc]
    """The authorization server of one installation."""

    def __init__(self, context: AuthContext) -> None:
        super().__init__()
        self.context = context
        self.register_grant(CodeGrant, [CodeChallenge(required=True)])
        self.register_grant(RefreshGrant)
        self.register_grant(CredentialsGrant)
        self.register_endpoint(Revocation)
        self.register_endpoint(Introspection)

    def query_client(self, client_id: str) -> Client | None:
        """The client of an id."""
        return self.context.store.read(lambda tx: clients.find(tx, client_id))

    def create_oauth2_request(self, request: ReadRequest) -> ReadRequest:
        """The request, which was read already."""
        return request

    def handle_response(self, status: int, body: Any, headers: Sequence[tuple[str, str]]) -> Answer:
        """The answer as a value."""
        return Answer(status, body, headers)

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def resource(self, asked: Sequence[str], granted: str, person_id: int) -> str:
        """The resource of a token: what is asked for, within what a person granted. Raises InvalidTargetError."""
        if not asked:
            return granted
        context = self.context
        worlds = worlds_for(context.registry, self.principal(person_id))
        try:
            reach = reach_of_all(asked, context.base, worlds)
            most = reach_of(granted, context.base, worlds)
        except InvalidTarget:
            raise InvalidTargetError("The resource is no endpoint of this server, or there are several.") from None
        if not most.includes(reach):
            raise InvalidTargetError("The resource is beyond what was granted.")
        return resource_of(reach, context.base)

    def principal(self, person_id: int) -> Principal:
        """Who a person is."""
        return self.context.store.read(lambda tx: tx.principal(person_id))


class _OnStore:
    """What the grants share: the store, and the client that asks."""

    server: Authority
    request: Any
    TOKEN_ENDPOINT_AUTH_METHODS: Sequence[str] = METHODS

    def issued(self, issued: grants.Issued) -> tuple[int, Any, Sequence[tuple[str, str]]]:
        """What the token endpoint answers."""
        return 200, issued.response(self.server.context.store.now()), ()


@dataclass(frozen=True, slots=True)
class StoredCode:
    """A code and its grant, as authlib's checks see them."""

    code: CodeRow
    grant: GrantRow

    @property
    def code_challenge(self) -> str:
        """Its PKCE challenge."""
        return self.code.challenge

    @property
    def code_challenge_method(self) -> str:
        """The one method there is."""
        return "S256"

    def get_redirect_uri(self) -> str | None:
        """The redirect URI that the token request has to repeat, if the authorization request had one."""
        return self.code.redirect_uri if self.code.explicit else None


class CodeGrant(_OnStore, oauth.AuthorizationCodeGrant):  # type: ignore[misc]
    """Codes for tokens (RFC 6749, section 4.1). Everything is checked before a code is consumed."""

    def query_authorization_code(self, code: str, client: Client) -> StoredCode | None:
        """A client's code, also one that was redeemed: a replay has to be told from a guess."""
        context = self.server.context
        found = context.store.read(lambda tx: grants.code_of(tx, context, code, client))
        return None if found is None else StoredCode(*found)

    def create_token_response(self) -> tuple[int, Any, Sequence[tuple[str, str]]]:
        """The tokens. A code that was redeemed before has its grant ended."""
        context, stored, client = self.server.context, self.request.authorization_code, self.request.client
        resource = self.server.resource(self.request.resources, stored.grant.resource, stored.grant.person_id)
        code = self.request.form["code"]
        issued = context.store.write(lambda tx: grants.redeem(tx, context, code, stored.grant.id, resource, client))
        if issued is None:
            raise InvalidGrantError("This code was redeemed before, so what came of it has been revoked.")
        return self.issued(issued)


class RefreshGrant(_OnStore, oauth.RefreshTokenGrant):  # type: ignore[misc]
    """New tokens for a refresh token (RFC 6749, section 6)."""

    def validate_token_request(self) -> None:
        """Insist on the client's own refresh token, and on no more scopes than it has."""
        client = self._validate_request_client()
        token = self.request.form.get("refresh_token")
        if not token:
            raise InvalidRequestError("Missing 'refresh_token' in request.")
        context = self.server.context
        found = context.store.read(lambda tx: grants.refresh_of(tx, context, token, client))
        if found is None:
            raise InvalidGrantError("The refresh token is unknown, expired, revoked or of another client.")
        granted, asked = split(found[1].scope), split(self.request.payload.scope)
        if not set(asked) <= set(granted):
            raise InvalidScopeError("A refresh gives no more scopes than were granted.")
        self.request.client, self.request.refresh_token = client, found
        self.scope = joined(asked or granted)

    def create_token_response(self) -> tuple[int, Any, Sequence[tuple[str, str]]]:
        """The new tokens."""
        context, (_, grant) = self.server.context, self.request.refresh_token
        resource = self.server.resource(self.request.resources, grant.resource, grant.person_id)
        token, scope = self.request.form["refresh_token"], self.scope
        issued = context.store.write(lambda tx: grants.rotate(tx, context, token, grant.id, resource, scope))
        if issued is None:
            raise InvalidGrantError("This refresh token was replaced before, so what came of it has been revoked.")
        return self.issued(issued)


class CredentialsGrant(_OnStore, oauth.ClientCredentialsGrant):  # type: ignore[misc]
    """A token for a client's own service account (RFC 6749, section 4.4)."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS[:2]

    def validate_token_request(self) -> None:
        """Insist on a confidential client with a service account."""
        client = self.authenticate_token_endpoint_client()
        if not client.check_grant_type(self.GRANT_TYPE) or client.service_id is None:
            raise oauth.UnauthorizedClientError("The client has no service account.")
        self.request.client = client

    def create_token_response(self) -> tuple[int, Any, Sequence[tuple[str, str]]]:
        """The token, without one to refresh it."""
        context, client = self.server.context, self.request.client
        principal = self.server.principal(client.service_id)
        resource = self.server.resource(self.request.resources, context.base, client.service_id)
        reach = reach_of(resource, context.base, worlds_for(context.registry, principal))
        asked = split(self.request.payload.scope)
        there = known(context.registry, reach, principal)
        may = [one for one in there if client.scopes is None or one in client.scopes]
        if not set(asked) <= set(may):
            raise InvalidScopeError("The client may not have these scopes here.")
        scopes = asked or tuple(one for one in default(context.registry, reach, principal) if one in may)
        issued = context.store.write(lambda tx: grants.for_client(tx, context, client, resource, scopes))
        return self.issued(issued)


class Revocation(RevocationEndpoint):  # type: ignore[misc]
    """Taking a token back (RFC 7009): the same answer whether there was one, and whose it was."""

    CLIENT_AUTH_METHODS = METHODS
    server: Authority

    def authenticate_token(self, request: ReadRequest, client: Client) -> None:
        """Insist on the parameters, and take the token back."""
        if "token" not in request.form:
            raise InvalidRequestError("Missing 'token' in request.")
        self.server.context.store.write(lambda tx: grants.revoke(tx, request.form["token"], client))


class Introspection(IntrospectionEndpoint):  # type: ignore[misc]
    """What a token says (RFC 7662), for the confidential client that it was issued to."""

    CLIENT_AUTH_METHODS = METHODS[:2]
    server: Authority

    def authenticate_token(self, request: ReadRequest, client: Client) -> Mapping[str, Any] | None:
        """What is said of a token of the client's own."""
        token = request.form.get("token")
        if not token:
            raise InvalidRequestError("Missing 'token' in request.")
        return self.server.context.store.read(lambda tx: grants.introspected(self.server.context, tx, token, client))

    def create_introspection_payload(self, token: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """As JSON; of a token that is no more, nothing but that."""
        return {"active": False} if token is None else token
