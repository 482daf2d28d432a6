"""What we put into the ASGI scope of a request for those who come after."""

PRINCIPAL = "turnkeeper.principal"
"""Who asks: a `types.Principal`."""

CHALLENGE = "turnkeeper.challenge"
"""The URL of the endpoint's metadata (RFC 9728), where tokens are asked for."""
