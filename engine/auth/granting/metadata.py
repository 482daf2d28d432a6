"""What the authorization server says of itself (RFC 8414, and OpenID Connect's address for the same)."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from engine.auth.context import AuthContext
from engine.auth.granting.authority import GRANT_TYPES, METHODS
from engine.auth.reach import EVERYWHERE
from engine.auth.scopes import published

WELL_KNOWN = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, OPTIONS",
    "Access-Control-Allow-Headers": "authorization, content-type, mcp-protocol-version",
}
"""Clients in browsers send the version of MCP along, so they ask before (Fetch standard, CORS-preflight)."""


def described(context: AuthContext) -> dict[str, object]:
    """The metadata, of what there is and nothing else."""
    base = context.base
    return {
        "issuer": base,
        "authorization_endpoint": f"{base}/authorize",
        "token_endpoint": f"{base}/token",
        "revocation_endpoint": f"{base}/revoke",
        "introspection_endpoint": f"{base}/introspect",
        "registration_endpoint": f"{base}/register",
        "scopes_supported": list(published(context.registry, EVERYWHERE)),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANT_TYPES),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": list(METHODS),
        "revocation_endpoint_auth_methods_supported": list(METHODS),
        "introspection_endpoint_auth_methods_supported": list(METHODS[:2]),
        "authorization_response_iss_parameter_supported": True,
        "client_id_metadata_document_supported": True,
    }


def routes(context: AuthContext) -> list[BaseRoute]:
    """The metadata at its addresses: for an issuer with a path also after it, as OpenID Connect has it."""

    async def metadata(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_CORS)
        return JSONResponse(described(context), headers={**_CORS, "Cache-Control": "public, max-age=300"})

    path = "/" + context.base.partition("://")[2].partition("/")[2] if context.base.count("/") > 2 else ""
    addresses = dict.fromkeys((*WELL_KNOWN, *(known + path for known in WELL_KNOWN)))
    return [Route(address, metadata, methods=["GET", "OPTIONS"]) for address in addresses]
