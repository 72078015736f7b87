"""Authorizes requests to the console. Pure: takes headers, returns `AccessDenied` or None.

Protects against DNS rebinding (the Host header must be a known name), cross-site requests (the
Origin header must be the console's own) and unauthenticated access (bearer token). The files of
the page hold no secret, so they need no token.
"""

import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class AccessDenied:
    """A denied request: the HTTP status and the error text of the response."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class RequestAuthorizer:
    """Checks a request's headers. `token` is `QA_CONSOLE_TOKEN`; `origins` are
    `QA_CONSOLE_ORIGINS`, in addition to loopback addresses.
    """

    token: str
    origins: Collection[str]

    def check_page(self, headers: Mapping[str, str]) -> AccessDenied | None:
        """Checks a request for a file of the page: the Host header only."""
        host = headers.get("Host", "")
        if _is_loopback(host) or host in (urlsplit(origin).netloc for origin in self.origins):
            return None
        return AccessDenied(
            403, f"unknown host {host!r}: add the console's address to QA_CONSOLE_ORIGINS"
        )

    def check_read(self, headers: Mapping[str, str]) -> AccessDenied | None:
        """Checks a request for the worker's figures: host, token, and the origin if it is sent.

        Browsers may omit the origin in a GET request.
        """
        return (
            self.check_page(headers)
            or self._check_origin(headers, optional=True)
            or self._check_token(headers)
        )

    def check_write(self, headers: Mapping[str, str]) -> AccessDenied | None:
        """Checks a request that writes to a topic: host, origin and token."""
        return (
            self.check_page(headers)
            or self._check_origin(headers, optional=False)
            or self._check_token(headers)
        )

    def _check_origin(self, headers: Mapping[str, str], *, optional: bool) -> AccessDenied | None:
        origin = headers.get("Origin")
        if origin in self.origins or (origin is None and optional):
            return None
        host = headers.get("Host", "")
        if _is_loopback(host) and origin == f"http://{host}":
            return None
        return AccessDenied(
            403, "only the console's own page may send this request (see QA_CONSOLE_ORIGINS)"
        )

    def _check_token(self, headers: Mapping[str, str]) -> AccessDenied | None:
        scheme, _, given = headers.get("Authorization", "").partition(" ")
        # compare_digest takes non-ASCII text only as bytes. It runs in constant time, so that the
        # response time does not reveal a correct prefix.
        equal = hmac.compare_digest(
            given.strip().encode("utf-8", "surrogateescape"), self.token.encode()
        )
        if scheme.lower() == "bearer" and equal:
            return None
        return AccessDenied(401, "missing or invalid token (see QA_CONSOLE_TOKEN)")


def _is_loopback(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in _LOOPBACK
    except ValueError:  # for example "[::1"
        return False
