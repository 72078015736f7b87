"""What the hub refuses, what is not there, and how it is said."""

import errno
import socket
from http import HTTPStatus

import pytest

from tests.model_tools import published_models as published
from tests.model_tools.hub_repos import MEMBER, STRANGER
from tests.model_tools.hub_server import HubServer
from tests.model_tools.said import said_by
from worker.model_tools.hub.download import Hub
from worker.model_tools.hub.errors import (
    AccessRefusedError,
    DiskFullError,
    HubRequest,
    HubUnreachableError,
    NoSuchRepoError,
    NoSuchRevisionError,
    translate_hub_errors,
)

REPO = "ada/tiny"


# Who may.


@pytest.mark.parametrize("token", [False, STRANGER])
def test_a_gated_model_is_for_those_who_were_let_in(
    server: HubServer, hub: Hub, token: str | bool
) -> None:
    server.put(REPO, published.export())
    server.repos[REPO].gated = True
    with pytest.raises(AccessRefusedError) as refused:
        Hub(hub.endpoint, hub.cache, token).fetch(REPO)
    assert said_by(refused).startswith(f"{REPO} is gated: ask for access on its page")
    Hub(hub.endpoint, hub.cache, MEMBER).fetch(REPO)


@pytest.mark.parametrize("token", [False, STRANGER])
def test_a_private_model_is_not_there_for_others(
    server: HubServer, hub: Hub, token: str | bool
) -> None:
    server.put(REPO, published.export())
    server.repos[REPO].private = True
    with pytest.raises(NoSuchRepoError) as refused:
        Hub(hub.endpoint, hub.cache, token).fetch(REPO)
    assert said_by(refused).startswith(f"{REPO}: the hub has no such repo, or it is private")
    Hub(hub.endpoint, hub.cache, MEMBER).fetch(REPO)


def test_a_token_goes_to_the_hub_and_to_nobody_else(server: HubServer, hub: Hub) -> None:
    server.put(REPO, published.export())
    Hub(hub.endpoint, hub.cache, MEMBER).fetch(REPO)
    assert {(request.origin, request.has_token) for request in server.requests} == {
        ("hub", True),
        ("storage", False),
    }


def test_a_token_that_the_hub_does_not_know_is_refused_and_not_shown(
    server: HubServer, hub: Hub
) -> None:
    server.put(REPO, published.export())
    with pytest.raises(AccessRefusedError) as refused:
        Hub(hub.endpoint, hub.cache, "hf_nonsense").fetch(REPO)
    said = said_by(refused)
    assert "the hub refuses (Invalid credentials in Authorization header)" in said
    assert "nonsense" not in said


# What is not there.


def test_a_missing_repo_is_named(hub: Hub) -> None:
    with pytest.raises(NoSuchRepoError, match=f"^{REPO}: "):
        hub.fetch(REPO)


def test_a_missing_revision_is_named(server: HubServer, hub: Hub) -> None:
    server.put(REPO, published.export())
    with pytest.raises(NoSuchRevisionError) as refused:
        hub.fetch(REPO, "v9")
    assert said_by(refused) == f"{REPO} has no revision 'v9'"


@pytest.mark.parametrize("offline", [False, True])
@pytest.mark.parametrize("repo", ["a/b/c", "a--b", "../up", "a b"])
def test_what_is_no_repo_id_is_refused(
    server: HubServer, hub: Hub, repo: str, offline: bool
) -> None:
    with pytest.raises(NoSuchRepoError) as refused:
        hub.fetch(repo, offline=offline)
    assert said_by(refused) == f"{repo!r} is no repo id; they look like owner/name"
    assert server.requests == []


def test_a_hub_that_does_not_answer_is_named(hub: Hub) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(HubUnreachableError) as refused:
            Hub(url, hub.cache, token=False).fetch(REPO)
    said = said_by(refused)
    assert said.startswith(f"{REPO}: {url} cannot be reached (")
    assert "--offline" in said


def test_an_address_that_is_none_is_named(hub: Hub) -> None:
    with pytest.raises(HubUnreachableError, match="nowhere at all cannot be reached"):
        Hub("nowhere at all", hub.cache, token=False).fetch(REPO)


def test_a_hub_that_fails_is_named(server: HubServer, hub: Hub) -> None:
    server.faults.status = HTTPStatus.SERVICE_UNAVAILABLE
    with pytest.raises(HubUnreachableError) as refused:
        hub.fetch(REPO)
    assert said_by(refused).startswith(f"{REPO}: {server.url} answers 503 Service Unavailable")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named(hub: Hub, number: int) -> None:
    asked = HubRequest(REPO, "main", hub.endpoint, hub.cache)
    with (
        pytest.raises(DiskFullError, match=str(hub.cache)),
        translate_hub_errors(asked, offline=False),
    ):
        raise OSError(number, "no space")


def test_what_is_not_of_the_hub_passes_as_it_is(hub: Hub) -> None:
    asked = HubRequest(REPO, "main", hub.endpoint, hub.cache)
    error = PermissionError(errno.EACCES, "not yours")
    with pytest.raises(PermissionError) as passed, translate_hub_errors(asked, offline=False):
        raise error
    assert passed.value is error
