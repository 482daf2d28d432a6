"""Finding an authorization request sound, or saying why it is not: to the person, or to the client by a redirect."""

import re
from collections.abc import Mapping
from typing import Any

from authlib.common.urls import add_params_to_uri

from engine.auth.granting.asked import Asked
from engine.auth.granting.authority import Authority
from engine.auth.granting.clients import Client
from engine.auth.reach import InvalidTarget, Reach, reach_of_all, resource_of
from engine.auth.scopes import default, known, split, worlds_for
from engine.types import Principal

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_LONGEST_STATE = 4000
Query = Mapping[str, list[str]]


class Wrong(Exception):
    """Why a request is not sound. Only with a `redirect_uri`, which was found to be the client's, may it be told."""

    def __init__(self, error: str, reason: str, redirect_uri: str | None = None, state: str | None = None) -> None:
        super().__init__(reason)
        self.error = error
        self.reason = reason
        self.redirect_uri = redirect_uri
        self.state = state


def asked_of(authority: Authority, client: Client, query: Query, principal: Principal | None) -> Asked | None:
    """What a client asks a person for (RFC 6749, section 4.1.1; RFC 7636; RFC 8707). Raises Wrong.

    Worlds and scopes are there for some people only, so it is None for a sound request before anybody has signed in.
    """
    redirect_uri = _redirect_uri(client, query)
    state = _first(query, "state")

    def wrong(error: str, reason: str) -> Wrong:
        return Wrong(error, reason, redirect_uri, state if state is not None and len(state) <= _LONGEST_STATE else None)

    repeated = [name for name, values in query.items() if len(values) > 1 and name != "resource"]
    if repeated:
        raise wrong("invalid_request", "A parameter is given more than once.")
    if state is not None and len(state) > _LONGEST_STATE:
        raise wrong("invalid_request", f"The state has more than {_LONGEST_STATE} characters.")
    if "response_type" not in query:
        raise wrong("invalid_request", "The request names no response_type.")
    if _first(query, "response_type") != "code":
        raise wrong("unsupported_response_type", "There is only response_type=code.")
    if not client.check_response_type("code"):
        raise wrong("unauthorized_client", "This client may not ask for codes.")
    challenge = _first(query, "code_challenge") or ""
    if _first(query, "code_challenge_method") != "S256" or _CHALLENGE.fullmatch(challenge) is None:
        raise wrong("invalid_request", "PKCE is needed: a code_challenge with code_challenge_method=S256.")
    context = authority.context
    worlds = None if principal is None else worlds_for(context.registry, principal)
    try:
        reach = reach_of_all(query.get("resource", ()), context.base, worlds)
    except InvalidTarget:
        raise wrong("invalid_target", "The resource is no endpoint of this server, or there are several.") from None
    if principal is None:
        return None
    scopes = _scopes(authority, client, reach, _first(query, "scope"), principal)
    if not scopes:
        raise wrong("invalid_scope", "None of these scopes can be granted to this client here.")
    return Asked(
        principal=principal,
        client_id=client.id,
        client_name=client.name,
        client_uri=client.uri,
        redirect_uri=redirect_uri,
        explicit="redirect_uri" in query,
        state=state,
        scopes=scopes,
        reach=reach,
        resource=resource_of(reach, context.base),
        challenge=challenge,
    )


def answered(authority: Authority, asked: Asked, code: str) -> str:
    """Where a person's browser goes with a code. `iss` says whose it is (RFC 9207)."""
    return _answered(asked.redirect_uri, code=code, state=asked.state, iss=authority.context.base)


def told(authority: Authority, wrong: Wrong) -> str:
    """Where a person's browser goes with an error (RFC 6749, section 4.1.2.1)."""
    assert wrong.redirect_uri is not None
    return _answered(
        wrong.redirect_uri,
        error=wrong.error,
        error_description=wrong.reason,
        state=wrong.state,
        iss=authority.context.base,
    )


def _answered(redirect_uri: str, **parameters: str | None) -> str:
    given = [(name, value) for name, value in parameters.items() if value is not None]
    found: Any = add_params_to_uri(redirect_uri, given)
    return str(found)


def _redirect_uri(client: Client, query: Query) -> str:
    given = query.get("redirect_uri", [])
    if len(given) > 1:
        raise Wrong("invalid_request", "The request names more than one redirect URI.")
    found = given[0] if given else client.get_default_redirect_uri()
    if found is None:
        raise Wrong("invalid_request", "The request names no redirect URI, and the client has not just one.")
    if not client.check_redirect_uri(found):
        raise Wrong("invalid_request", "The redirect URI is none of this client's.")
    return found


def _scopes(
    authority: Authority, client: Client, reach: Reach, scope: str | None, principal: Principal
) -> tuple[str, ...]:
    """What is asked for, without what is not there for the person or is beyond the client."""
    registry = authority.context.registry
    there = known(registry, reach, principal)
    asked = split(scope) or default(registry, reach, principal)
    return tuple(one for one in asked if one in there and (client.scopes is None or one in client.scopes))


def _first(query: Query, name: str) -> str | None:
    return next(iter(query.get(name, ())), None)
