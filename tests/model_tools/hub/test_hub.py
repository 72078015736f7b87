"""Fetching with the real client, from a hub on this machine."""

import json

import pytest

from tests.model_tools import published_models as published
from tests.model_tools.hub_repos import Commit
from tests.model_tools.hub_server import HubServer
from tests.model_tools.random_weights import TINY_DISTILBERT
from tests.model_tools.said import said_by
from worker.model_tools.errors import ContentsError, ConvertError, TokenizerError
from worker.model_tools.hub.download import Hub
from worker.model_tools.hub.errors import (
    FileMismatchError,
    NotCachedError,
    RepoMovedError,
)
from worker.model_tools.source_files import SourceFiles

REPO = "ada/tiny"
MODEL = "onnx/model.onnx"
TEN_MB = 10 * 1024 * 1024
"""What the client writes at once; of a piece that breaks off it keeps nothing."""


# Which files.


def test_the_files_lie_under_their_commit_as_the_hub_has_them(server: HubServer, hub: Hub) -> None:
    files = published.export()
    commit = server.put(REPO, files)
    fetched = hub.fetch(REPO)
    assert (fetched.commit, fetched.directory.name) == (commit.sha, commit.sha)
    assert fetched.contents.weights == MODEL
    for name in (MODEL, "config.json", "tokenizer.json", "README.md"):
        assert (fetched.directory / name).read_bytes() == files[name]


def test_nothing_is_asked_for_that_no_bundle_needs(server: HubServer, hub: Hub) -> None:
    files = published.export()
    server.put(REPO, files)
    hub.fetch(REPO)
    asked = {name for name in files if server.asked_for(name) or server.asked_for(name, "HEAD")}
    assert asked == set(files) - {"onnx/model_quantized.onnx", "pytorch_model.bin"}


def test_weights_are_fetched_where_there_is_no_export(server: HubServer, hub: Hub) -> None:
    server.put(REPO, published.vocabulary_alone())
    assert hub.fetch(REPO).contents == SourceFiles(
        "model.safetensors",
        ("config.json", "tokenizer_config.json", "README.md", "LICENSE", "vocab.txt"),
    )


@pytest.mark.parametrize("revision", ["v1.0", "refs/pr/7", "commit"])
def test_a_revision_is_a_tag_a_pull_request_or_a_commit(
    server: HubServer, hub: Hub, revision: str
) -> None:
    server.put(REPO, published.export())
    wanted = server.put(REPO, published.export(unused_rows=1), branch=revision)
    asked = wanted.sha if revision == "commit" else revision
    assert hub.fetch(REPO, asked).commit == wanted.sha
    assert hub.fetch(REPO, asked, offline=True).commit == wanted.sha


def test_a_pickle_is_not_fetched(server: HubServer, hub: Hub) -> None:
    files = published.safetensors()
    del files["model.safetensors"]
    server.put(REPO, {**files, "pytorch_model.bin": b"a pickle"})
    with pytest.raises(ContentsError, match=r"a pickle \(pytorch_model.bin\).*refs/pr/N"):
        hub.fetch(REPO)
    assert [request.path for request in server.requests] == [f"/api/models/{REPO}?blobs=true"]


def test_another_family_is_refused_before_its_weights_are_fetched(
    server: HubServer, hub: Hub
) -> None:
    config = json.dumps({**TINY_DISTILBERT, "model_type": "roberta"}).encode()
    server.put(REPO, {**published.safetensors(), "config.json": config})
    with pytest.raises(ConvertError, match="model_type is 'roberta'"):
        hub.fetch(REPO)
    assert server.asked_for("model.safetensors", "HEAD") == []


def test_a_tokenizer_that_cannot_be_is_refused_before_the_weights_are_fetched(
    server: HubServer, hub: Hub
) -> None:
    server.put(REPO, {**published.export(), "tokenizer.json": b"{}"})
    with pytest.raises(TokenizerError):
        hub.fetch(REPO)
    assert server.asked_for(MODEL, "HEAD") == []


# Whether they are the announced ones.


def test_a_cut_connection_goes_on_where_it_was(server: HubServer, hub: Hub) -> None:
    files = published.export(unused_rows=TEN_MB // 8 + 1000)
    server.put(REPO, files)
    server.faults.cut_after[MODEL] = TEN_MB + 1000
    fetched = hub.fetch(REPO)
    ranges = [request.range for request in server.requests if request.origin == "storage"]
    assert ranges == [None, f"bytes={TEN_MB}-"]
    assert (fetched.directory / MODEL).read_bytes() == files[MODEL]


@pytest.mark.parametrize(("file", "kind"), [(MODEL, "sha256"), ("tokenizer.json", "git hash")])
def test_a_file_with_other_bytes_is_refused_and_not_kept(
    server: HubServer, hub: Hub, file: str, kind: str
) -> None:
    server.put(REPO, published.export())
    server.faults.corrupt.add(file)
    with pytest.raises(FileMismatchError) as refused:
        hub.fetch(REPO)
    assert said_by(refused).startswith(f"{file} came wrong ({kind} ")
    assert (hub.fetch(REPO).directory / file).read_bytes() == published.export()[file]


def test_a_file_that_is_too_short_is_refused_and_not_kept(server: HubServer, hub: Hub) -> None:
    server.put(REPO, published.export())
    server.faults.shorten.add(MODEL)
    with pytest.raises(FileMismatchError) as refused:
        hub.fetch(REPO)
    assert "file should be of size" in said_by(refused)
    hub.fetch(REPO)


def test_a_size_that_the_listing_does_not_have_is_refused(server: HubServer, hub: Hub) -> None:
    server.put(REPO, published.export())
    server.faults.listed_size["README.md"] = 1
    with pytest.raises(FileMismatchError) as refused:
        hub.fetch(REPO)
    assert f"{len(published.CARD)} bytes long, announced are 1" in said_by(refused)


def test_a_commit_between_two_files_is_noticed(server: HubServer, hub: Hub) -> None:
    server.put(REPO, published.export())
    server.faults.move = ("main", Commit(published.export(unused_rows=1)))
    with pytest.raises(RepoMovedError):
        hub.fetch(REPO)


# The cache.


def test_what_was_fetched_once_is_there_offline(server: HubServer, hub: Hub) -> None:
    server.put(REPO, published.vocabulary_alone())
    fetched = hub.fetch(REPO)
    before = len(server.requests)
    assert hub.fetch(REPO, offline=True) == fetched
    assert len(server.requests) == before


def test_what_the_cache_holds_is_not_fetched_again(server: HubServer, hub: Hub) -> None:
    server.put(REPO, published.export())
    hub.fetch(REPO)
    server.requests.clear()
    hub.fetch(REPO)
    bodies = [request.path for request in server.requests if request.method == "GET"]
    assert bodies == [f"/api/models/{REPO}?blobs=true"]


def test_offline_and_never_fetched_is_said(server: HubServer, hub: Hub) -> None:
    server.put(REPO, published.export())
    with pytest.raises(NotCachedError) as refused:
        hub.fetch(REPO, offline=True)
    said = said_by(refused)
    assert said.startswith(f"{REPO} at main is not in the hub client's cache ({hub.cache}); ")
    assert server.requests == []


def test_offline_with_a_commit_that_was_never_fetched_is_said(hub: Hub) -> None:
    with pytest.raises(NotCachedError):
        hub.fetch(REPO, "0" * 40, offline=True)
