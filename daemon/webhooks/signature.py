"""Signatures by the Standard Webhooks specification 1.0.0: HMAC-SHA256, versions `v1`.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final

_PREFIX: Final = "whsec_"


def keys(secret: str) -> tuple[bytes, ...]:
    """Return the keys that a secret stands for: one, or several with spaces between while they are changed.

    `whsec_` and base64 is what the specification gives; any other text is taken as its UTF-8 bytes.

    Raises:
        ValueError: there is none, or what follows `whsec_` is not base64.
    """
    found = tuple(_key(part) for part in secret.split())
    if not found:
        raise ValueError("Expected a secret that is not empty")
    return found


def _key(part: str) -> bytes:
    if not part.startswith(_PREFIX):
        return part.encode()
    encoded = part.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError("Expected base64 after whsec_")
    return key


def sign(secret: str, message_id: str, timestamp_s: int, body: bytes) -> str:
    """Return the header `webhook-signature`: a signature for each key. Raises ValueError as `keys` does."""
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp_s, body)
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys(secret)
    )
