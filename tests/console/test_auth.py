"""Who may see and ask: hosts, origins, tokens."""

import pytest

from worker.console.auth import AccessDenied, RequestAuthorizer

TOKEN = "0123456789abcdef"
PUBLIC = "https://qa.example.org:8443"
GUARD = RequestAuthorizer(TOKEN, (PUBLIC,))
HERE = {"Host": "127.0.0.1:8080"}
KNOWN = {**HERE, "Authorization": f"Bearer {TOKEN}"}


def status(refusal: AccessDenied | None) -> int | None:
    return None if refusal is None else refusal.status


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
def test_the_page_is_served_under_names_that_are_known(host: str) -> None:
    assert GUARD.page({"Host": host}) is None


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
def test_a_name_that_was_bound_to_this_address_by_others_is_refused(host: str) -> None:
    headers = {"Host": host, "Authorization": f"Bearer {TOKEN}", "Origin": f"http://{host}"}
    assert status(GUARD.page(headers)) == 403
    assert status(GUARD.reading(headers)) == 403
    assert status(GUARD.asking(headers)) == 403


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
def test_without_the_token_nothing_is_told(authorization: str | None) -> None:
    headers = {**HERE, "Origin": "http://127.0.0.1:8080"}
    if authorization is not None:
        headers["Authorization"] = authorization
    assert status(GUARD.reading(headers)) == 401
    assert status(GUARD.asking(headers)) == 401


def test_a_token_may_be_of_any_letters() -> None:
    guard = RequestAuthorizer("schlüssel-schlüssel", ())
    assert guard.reading({**HERE, "Authorization": "bearer schlüssel-schlüssel"}) is None


@pytest.mark.parametrize(
    ("host", "origin"),
    [("127.0.0.1:8080", "http://127.0.0.1:8080"), ("qa.example.org:8443", PUBLIC)],
)
def test_its_own_page_may_ask(host: str, origin: str) -> None:
    headers = {"Host": host, "Origin": origin, "Authorization": f"Bearer {TOKEN}"}
    assert GUARD.asking(headers) is None
    assert GUARD.reading(headers) is None


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
def test_a_strangers_page_may_not_even_with_the_token(origin: str) -> None:
    assert status(GUARD.asking({**KNOWN, "Origin": origin})) == 403
    assert status(GUARD.reading({**KNOWN, "Origin": origin})) == 403


def test_what_is_no_browser_reads_and_does_not_ask() -> None:
    assert GUARD.reading(KNOWN) is None
    assert status(GUARD.asking(KNOWN)) == 403


def test_a_name_of_another_computer_is_no_origin_of_its_own() -> None:
    headers = {**KNOWN, "Host": "qa.example.org:8443", "Origin": "http://qa.example.org:8443"}
    assert status(GUARD.asking(headers)) == 403
