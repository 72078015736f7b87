"""Every failure of the hub, the network and the disk is one line that says what to do."""

import errno
import socket
from http import HTTPStatus

import pytest

from tests.model_tools import published_models as published
from tests.model_tools.hub_repos import MEMBER, STRANGER
from tests.model_tools.hub_server import HubServer
from tests.model_tools.message import message_of
from worker.model_tools.hub.download import Hub
from worker.model_tools.hub.errors import HubError, HubRequest, translate_hub_errors

REPO = "ada/tiny"


def refusal(hub: Hub, repo: str = REPO, revision: str | None = None) -> str:
    with pytest.raises(HubError) as refused:
        hub.fetch(repo, revision)
    return message_of(refused)


# Access.


@pytest.mark.parametrize("token", [False, STRANGER])
def test_gated_model_needs_a_member(server: HubServer, hub: Hub, token: str | bool) -> None:
    server.put(REPO, published.export())
    server.repos[REPO].gated = True
    said = refusal(Hub(hub.endpoint, hub.cache, token))
    assert said.startswith(f"{REPO} is gated: ask for access on its page")
    Hub(hub.endpoint, hub.cache, MEMBER).fetch(REPO)


@pytest.mark.parametrize("token", [False, STRANGER])
def test_private_model_needs_a_member(server: HubServer, hub: Hub, token: str | bool) -> None:
    server.put(REPO, published.export())
    server.repos[REPO].private = True
    said = refusal(Hub(hub.endpoint, hub.cache, token))
    assert said.startswith(f"{REPO}: the hub has no such repo, or it is private")
    Hub(hub.endpoint, hub.cache, MEMBER).fetch(REPO)


def test_token_is_sent_to_the_hub_only(server: HubServer, hub: Hub) -> None:
    server.put(REPO, published.export())
    Hub(hub.endpoint, hub.cache, MEMBER).fetch(REPO)
    assert {(request.origin, request.has_token) for request in server.requests} == {
        ("hub", True),
        ("storage", False),
    }


def test_unknown_token_is_refused_and_not_shown(server: HubServer, hub: Hub) -> None:
    server.put(REPO, published.export())
    said = refusal(Hub(hub.endpoint, hub.cache, "hf_nonsense"))
    assert "the hub refuses access (Invalid credentials in Authorization header)" in said
    assert "nonsense" not in said


# Names.


def test_missing_repo_is_named(server: HubServer, hub: Hub) -> None:
    assert refusal(hub).startswith(f"{REPO}: the hub has no such repo")


def test_missing_revision_is_named(server: HubServer, hub: Hub) -> None:
    server.put(REPO, published.export())
    assert refusal(hub, revision="v9") == f"{REPO} has no revision 'v9'"
    assert refusal(hub, revision="0" * 40) == f"{REPO} has no revision '{'0' * 40}'"


@pytest.mark.parametrize("offline", [False, True])
@pytest.mark.parametrize("repo", ["a/b/c", "a--b", "../up", "a b"])
def test_invalid_repo_id_is_refused(server: HubServer, hub: Hub, repo: str, offline: bool) -> None:
    with pytest.raises(HubError) as refused:
        hub.fetch(repo, offline=offline)
    assert message_of(refused) == f"{repo!r} is not a repo id; repo ids look like owner/name"
    assert server.requests == []


# Failures.


def test_unreachable_hub_is_named(hub: Hub) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        said = refusal(Hub(url, hub.cache, token=False))
    assert said.startswith(f"{REPO}: cannot reach {url} (")
    assert "--offline" in said


def test_invalid_endpoint_is_named(hub: Hub) -> None:
    said = refusal(Hub("nowhere at all", hub.cache, token=False))
    assert said.startswith(f"{REPO}: cannot reach nowhere at all (")


def test_failing_hub_is_named(server: HubServer, hub: Hub) -> None:
    server.faults.status = HTTPStatus.SERVICE_UNAVAILABLE
    said = refusal(hub)
    assert said.startswith(f"{REPO}: {server.url} answers 503 Service Unavailable")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_named(hub: Hub, number: int) -> None:
    request = HubRequest(REPO, "main", hub.endpoint, hub.cache)
    with (
        pytest.raises(HubError, match=f"the disk of {hub.cache} is full"),
        translate_hub_errors(request, offline=False),
    ):
        raise OSError(number, "no space")


def test_other_errors_pass_unchanged(hub: Hub) -> None:
    request = HubRequest(REPO, "main", hub.endpoint, hub.cache)
    error = PermissionError(errno.EACCES, "not yours")
    with pytest.raises(PermissionError) as passed, translate_hub_errors(request, offline=False):
        raise error
    assert passed.value is error
