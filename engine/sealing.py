"""Sealing texts under a key that follows from a secret: whoever has the secret can read them, and nobody else."""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

_HEADER = {"alg": "dir", "enc": "A256GCM"}


def sealed(plain: str, secret: str) -> str:
    """A text that only a bearer of the secret can read (JWE compact, RFC 7516: `dir` with A256GCM)."""
    return jwe.encrypt_compact(_HEADER, plain.encode(), _key(secret))


def unsealed(text: str, secret: str) -> str | None:
    """The text that was sealed under the secret, or None if it was not."""
    try:
        found = jwe.decrypt_compact(text, _key(secret)).plaintext
    except (JoseError, ValueError):
        return None
    return None if found is None else found.decode()


def resealed(text: str | None, old: str, new: str) -> str | None:
    """What was sealed under one secret, sealed under another; None for what was not."""
    plain = None if text is None else unsealed(text, old)
    return None if plain is None else sealed(plain, new)


def derived(secret: str, purpose: str) -> bytes:
    """32 bytes that follow from a secret for a purpose, and lead neither to the secret nor to its hash (RFC 5869)."""
    return HKDF(SHA256(), 32, salt=None, info=f"turnkeeper {purpose}".encode()).derive(secret.encode())


def _key(secret: str) -> OctKey:
    return OctKey.import_key(derived(secret, "seal"))
