"""Signature Version 4 of a presigned URL, recomputed from AWS' description of it.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote, urlsplit

SIGNER_PARAMETER = "User-Agent"
"""Added to the URL after the rest is signed."""


@dataclass(frozen=True, slots=True)
class PresignedUrl:
    """The parts of a token of Amazon MSK."""

    host: str
    query: dict[str, str]
    """The parameters as they stand in the URL, encoded."""

    @classmethod
    def from_token(cls, token: str) -> "PresignedUrl":
        url = urlsplit(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode())
        assert (url.scheme, url.path) == ("https", "/")
        assert url.hostname is not None
        query = dict(parameter.split("=", 1) for parameter in url.query.split("&"))
        return cls(url.hostname, query)

    def value(self, name: str) -> str:
        """A decoded parameter."""
        return unquote(self.query[name])

    @property
    def signed(self) -> datetime:
        """When it was signed."""
        return datetime.strptime(self.value("X-Amz-Date"), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

    @property
    def expires(self) -> datetime:
        return self.signed + timedelta(seconds=int(self.value("X-Amz-Expires")))

    def has_signature_of(self, secret_key: str) -> bool:
        """Whether the secret key signed these parts."""
        scope = self.value("X-Amz-Credential").split("/", 1)[1]
        names = sorted(self.query.keys() - {"X-Amz-Signature", SIGNER_PARAMETER})
        parameters = "&".join(f"{name}={self.query[name]}" for name in names)
        canonical = f"GET\n/\n{parameters}\nhost:{self.host}\n\nhost\n{_sha256(b'')}"
        to_sign = (
            f"AWS4-HMAC-SHA256\n{self.value('X-Amz-Date')}\n{scope}\n{_sha256(canonical.encode())}"
        )
        key = f"AWS4{secret_key}".encode()
        for part in scope.split("/"):
            key = _hmac(key, part)
        return hmac.compare_digest(_hmac(key, to_sign).hex(), self.value("X-Amz-Signature"))


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
