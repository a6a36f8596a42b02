"""Signatures of webhooks, as the Standard Webhooks specification has them: a receiver needs the secret and any library of it.

HMAC-SHA256 over "ID.TIMESTAMP.BODY". The id is the message's: a receiver that has seen it has had the message. The timestamp is
that of the try: what is older than a few minutes is a replay.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from datetime import datetime

TOLERANCE_SECONDS = 300.0
_PREFIX = "whsec_"


def signed_headers(secret: str, message: str, at: datetime, body: bytes) -> dict[str, str]:
    """`webhook-id`, `webhook-timestamp` and, where there is a secret, `webhook-signature`."""
    stamp = str(int(at.timestamp()))
    headers = {"webhook-id": message, "webhook-timestamp": stamp}
    return headers | ({"webhook-signature": _signature(secret, message, stamp, body)} if secret else {})


def verify_webhook(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Whether a request is RunGuard's: signed with the secret, and not older (or newer) than five minutes.

    Args:
        secret: as in the environment variable of `secret_env`. headers: of the request, names in any case. body: as it came.
    """
    found = {name.lower(): value for name, value in headers.items()}
    message, stamp = found.get("webhook-id", ""), found.get("webhook-timestamp", "")
    if not stamp.isdecimal() or len(stamp) > 15 or abs(now.timestamp() - int(stamp)) > TOLERANCE_SECONDS:
        return False
    wanted = _signature(secret, message, stamp, body).encode()
    return any(hmac.compare_digest(wanted, one.encode()) for one in found.get("webhook-signature", "").split())


def _signature(secret: str, message: str, stamp: str, body: bytes) -> str:
    digest = hmac.digest(_key(secret), f"{message}.{stamp}.".encode() + body, "sha256")
    return "v1," + base64.b64encode(digest).decode()


def _key(secret: str) -> bytes:
    """A secret as the specification writes it ("whsec_" and base64), or any other text."""
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            return secret.encode("utf-8", "replace")
    return secret.encode("utf-8", "replace")
