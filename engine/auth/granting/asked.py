"""An authorization request that was found to be sound: what a person is asked to consent to."""

from dataclasses import dataclass

from engine.auth.reach import Reach
from engine.types import Principal


@dataclass(frozen=True, slots=True)
class Asked:
    """Which client asks whom for what, how far, and where the answer goes.

    `explicit` says whether the request named its redirect URI; `challenge` is its PKCE challenge (S256).
    """

    principal: Principal
    client_id: str
    client_name: str
    client_uri: str | None
    redirect_uri: str
    explicit: bool
    state: str | None
    scopes: tuple[str, ...]
    reach: Reach
    resource: str
    challenge: str
