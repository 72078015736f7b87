"""Authorization of console requests by host, origin and token."""

import pytest

from worker.console.auth import AccessDenied, RequestAuthorizer

TOKEN = "0123456789abcdef"
PUBLIC = "https://qa.example.org:8443"
AUTHORIZER = RequestAuthorizer(TOKEN, (PUBLIC,))
LOCAL = {"Host": "127.0.0.1:8080"}
AUTHORIZED = {**LOCAL, "Authorization": f"Bearer {TOKEN}"}


def status(denied: AccessDenied | None) -> int | None:
    return None if denied is None else denied.status


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8080",
        "127.0.0.1:9",
        "[::1]:8080",
        "LOCALHOST:1",
        "qa.example.org:8443",
    ],
)
def test_page_is_served_for_known_hosts(host: str) -> None:
    assert AUTHORIZER.check_page({"Host": host}) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example:8080",
        "localhost@evil.example",
        "qa.example.org",
        "qa.example.org:8080",
        "10.0.0.7:8080",
        "[::1",
    ],
)
def test_unknown_host_is_denied(host: str) -> None:
    headers = {"Host": host, "Authorization": f"Bearer {TOKEN}", "Origin": f"http://{host}"}
    assert status(AUTHORIZER.check_page(headers)) == 403
    assert status(AUTHORIZER.check_read(headers)) == 403
    assert status(AUTHORIZER.check_write(headers)) == 403


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        TOKEN,
        f"Basic {TOKEN}",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}0",
        f"Bearer {TOKEN.upper()}",
        "Bearer \udcff\u00fc",
    ],
)
def test_wrong_token_is_denied(authorization: str | None) -> None:
    headers = {**LOCAL, "Origin": "http://127.0.0.1:8080"}
    if authorization is not None:
        headers["Authorization"] = authorization
    assert status(AUTHORIZER.check_read(headers)) == 401
    assert status(AUTHORIZER.check_write(headers)) == 401


def test_token_may_have_non_ascii_letters() -> None:
    authorizer = RequestAuthorizer("schlüssel-schlüssel", ())
    assert authorizer.check_read({**LOCAL, "Authorization": "bearer schlüssel-schlüssel"}) is None


@pytest.mark.parametrize(
    ("host", "origin"),
    [("127.0.0.1:8080", "http://127.0.0.1:8080"), ("qa.example.org:8443", PUBLIC)],
)
def test_own_origin_may_read_and_write(host: str, origin: str) -> None:
    headers = {"Host": host, "Origin": origin, "Authorization": f"Bearer {TOKEN}"}
    assert AUTHORIZER.check_write(headers) is None
    assert AUTHORIZER.check_read(headers) is None


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "http://evil.example",
        "http://127.0.0.1:3000",
        "https://127.0.0.1:8080",
        "http://localhost:8080",
        "http://qa.example.org:8443",
        f"{PUBLIC}.evil.example",
    ],
)
def test_foreign_origin_is_denied_with_a_valid_token(origin: str) -> None:
    assert status(AUTHORIZER.check_write({**AUTHORIZED, "Origin": origin})) == 403
    assert status(AUTHORIZER.check_read({**AUTHORIZED, "Origin": origin})) == 403


def test_request_without_origin_may_read_but_not_write() -> None:
    assert AUTHORIZER.check_read(AUTHORIZED) is None
    assert status(AUTHORIZER.check_write(AUTHORIZED)) == 403


def test_http_origin_of_a_remote_host_is_denied() -> None:
    headers = {**AUTHORIZED, "Host": "qa.example.org:8443", "Origin": "http://qa.example.org:8443"}
    assert status(AUTHORIZER.check_write(headers)) == 403
