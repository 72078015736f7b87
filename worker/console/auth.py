"""Who may see the console, and who may ask. Pure: headers in, a refusal out, or none.

A browser runs the pages of strangers beside ours, and each may send requests here. So the name by
which the browser found the worker must be one that we know (else a stranger's name that resolves to
this address would do), a question must come from our own page, and everything but that page
itself takes a token, which no stranger has.
"""

import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class AccessDenied:
    """`status` is HTTP's; `why` is for people."""

    status: int
    why: str


@dataclass(frozen=True, slots=True)
class RequestAuthorizer:
    """`origins` are those of `QA_CONSOLE_ORIGINS`."""

    token: str
    origins: Collection[str]

    def page(self, headers: Mapping[str, str]) -> AccessDenied | None:
        """For what holds no secret."""
        host = headers.get("Host", "")
        if _is_loopback(host) or host in (urlsplit(origin).netloc for origin in self.origins):
            return None
        return AccessDenied(
            403, f"{host!r} is none of the console's names; QA_CONSOLE_ORIGINS has them"
        )

    def reading(self, headers: Mapping[str, str]) -> AccessDenied | None:
        """For what the worker does. Browsers may leave the origin out."""
        return self.page(headers) or self._foreign(headers, optional=True) or self._token(headers)

    def asking(self, headers: Mapping[str, str]) -> AccessDenied | None:
        """For what changes something."""
        return self.page(headers) or self._foreign(headers, optional=False) or self._token(headers)

    def _foreign(self, headers: Mapping[str, str], *, optional: bool) -> AccessDenied | None:
        origin = headers.get("Origin")
        if origin in self.origins or (origin is None and optional):
            return None
        host = headers.get("Host", "")
        if _is_loopback(host) and origin == f"http://{host}":
            return None
        return AccessDenied(
            403, "this is for the console's own page; QA_CONSOLE_ORIGINS names others"
        )

    def _token(self, headers: Mapping[str, str]) -> AccessDenied | None:
        scheme, _, given = headers.get("Authorization", "").partition(" ")
        # As bytes: what is no ASCII is compared like everything else. The time it takes says
        # nothing about how much of it is right.
        same = hmac.compare_digest(
            given.strip().encode("utf-8", "surrogateescape"), self.token.encode()
        )
        if scheme.lower() == "bearer" and same:
            return None
        return AccessDenied(401, "the token is missing or wrong; QA_CONSOLE_TOKEN has it")


def _is_loopback(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in _LOOPBACK
    except ValueError:  # as for "[::1"
        return False
