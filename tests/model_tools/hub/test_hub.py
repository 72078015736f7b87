"""Downloads with the real client, from a hub on this machine."""

import json

import pytest

from tests.model_tools import published_models as published
from tests.model_tools.hub_repos import Commit
from tests.model_tools.hub_server import HubServer
from tests.model_tools.message import message_of
from tests.model_tools.random_weights import TINY_DISTILBERT
from worker.model_tools.hub.download import Hub
from worker.model_tools.hub.errors import HubError
from worker.model_tools.source_files import SourceFiles
from worker.models.bundle import BundleError

REPO = "ada/tiny"
MODEL = "onnx/model.onnx"
TEN_MB = 10 * 1024 * 1024
"""The client's write size. It keeps only whole writes of an interrupted download."""


# Selection of files.


def test_downloaded_files_equal_those_of_the_commit(server: HubServer, hub: Hub) -> None:
    files = published.export()
    commit = server.put(REPO, files)
    download = hub.fetch(REPO)
    assert (download.commit, download.directory.name) == (commit.sha, commit.sha)
    assert download.files.weights == MODEL
    for name in (MODEL, "config.json", "tokenizer.json", "README.md"):
        assert (download.directory / name).read_bytes() == files[name]


def test_only_files_of_the_bundle_are_requested(server: HubServer, hub: Hub) -> None:
    files = published.export()
    server.put(REPO, files)
    hub.fetch(REPO)
    requested = {name for name in files if server.asked_for(name) or server.asked_for(name, "HEAD")}
    assert requested == set(files) - {"onnx/model_quantized.onnx", "pytorch_model.bin"}


def test_weights_are_downloaded_without_an_export(server: HubServer, hub: Hub) -> None:
    server.put(REPO, published.vocabulary_alone())
    assert hub.fetch(REPO).files == SourceFiles(
        "model.safetensors",
        ("config.json", "tokenizer_config.json", "README.md", "LICENSE", "vocab.txt"),
    )


@pytest.mark.parametrize("revision", ["v1.0", "refs/pr/7", "commit"])
def test_revision_is_a_tag_a_pull_request_or_a_commit(
    server: HubServer, hub: Hub, revision: str
) -> None:
    server.put(REPO, published.export())
    wanted = server.put(REPO, published.export(unused_rows=1), branch=revision)
    requested = wanted.sha if revision == "commit" else revision
    assert hub.fetch(REPO, requested).commit == wanted.sha
    assert hub.fetch(REPO, requested, offline=True).commit == wanted.sha


def test_pickle_is_refused_and_not_downloaded(server: HubServer, hub: Hub) -> None:
    files = published.safetensors()
    del files["model.safetensors"]
    server.put(REPO, {**files, "pytorch_model.bin": b"a pickle"})
    with pytest.raises(BundleError, match=r"a pickle \(pytorch_model.bin\).*refs/pr/N"):
        hub.fetch(REPO)
    assert server.asked_for("pytorch_model.bin", "HEAD") == []


def test_unsupported_family_is_refused_before_the_weights(server: HubServer, hub: Hub) -> None:
    config = json.dumps({**TINY_DISTILBERT, "model_type": "roberta"}).encode()
    server.put(REPO, {**published.safetensors(), "config.json": config})
    with pytest.raises(BundleError, match="model_type is 'roberta'"):
        hub.fetch(REPO)
    assert server.asked_for("model.safetensors", "HEAD") == []


def test_invalid_tokenizer_is_refused_before_the_weights(server: HubServer, hub: Hub) -> None:
    server.put(REPO, {**published.export(), "tokenizer.json": b"{}"})
    with pytest.raises(BundleError, match=r"tokenizer\.json"):
        hub.fetch(REPO)
    assert server.asked_for(MODEL, "HEAD") == []


# Integrity.


@pytest.mark.long
def test_interrupted_download_resumes(server: HubServer, hub: Hub) -> None:
    files = published.export(unused_rows=TEN_MB // 8 + 1000)
    server.put(REPO, files)
    server.faults.cut_after[MODEL] = TEN_MB + 1000
    download = hub.fetch(REPO)
    ranges = [request.range for request in server.requests if request.origin == "storage"]
    assert ranges == [None, f"bytes={TEN_MB}-"]
    assert (download.directory / MODEL).read_bytes() == files[MODEL]


@pytest.mark.parametrize(("file", "algorithm"), [(MODEL, "sha256"), ("tokenizer.json", "git-sha1")])
def test_damaged_file_is_refused_and_removed_from_the_cache(
    server: HubServer, hub: Hub, file: str, algorithm: str
) -> None:
    files = published.export()
    # Still JSON when its last byte is changed.
    files["tokenizer.json"] += b"  "
    server.put(REPO, files)
    server.faults.corrupt.add(file)
    server.faults.corrupt_with = b"\n"
    with pytest.raises(HubError) as refused:
        hub.fetch(REPO)
    assert message_of(refused).startswith(f"{REPO}: {file} is damaged ({algorithm} ")
    assert (hub.fetch(REPO).directory / file).read_bytes() == files[file]


def test_truncated_file_is_refused_and_not_kept(server: HubServer, hub: Hub) -> None:
    server.put(REPO, published.export())
    server.faults.shorten.add(MODEL)
    with pytest.raises(HubError) as refused:
        hub.fetch(REPO)
    assert "file should be of size" in message_of(refused)
    hub.fetch(REPO)


def test_all_files_are_of_one_commit_if_the_branch_moves(server: HubServer, hub: Hub) -> None:
    before = server.put(REPO, published.export())
    server.repos[REPO].branches["before"] = before
    server.faults.move = ("main", Commit(published.export(unused_rows=1)))
    download = hub.fetch(REPO)
    assert download.commit == before.sha
    assert (download.directory / MODEL).read_bytes() == before.files[MODEL]


# The cache.


def test_cached_model_needs_no_request_offline(server: HubServer, hub: Hub) -> None:
    server.put(REPO, published.vocabulary_alone())
    download = hub.fetch(REPO)
    before = len(server.requests)
    assert hub.fetch(REPO, offline=True) == download
    assert len(server.requests) == before


def test_cached_files_are_not_downloaded_again(server: HubServer, hub: Hub) -> None:
    files = published.export()
    server.put(REPO, files)
    hub.fetch(REPO)
    server.requests.clear()
    hub.fetch(REPO)
    assert [name for name in files if server.asked_for(name)] == []


@pytest.mark.parametrize("revision", ["main", "0" * 40])
def test_uncached_model_is_refused_offline(server: HubServer, hub: Hub, revision: str) -> None:
    server.put(REPO, published.export())
    with pytest.raises(HubError) as refused:
        hub.fetch(REPO, revision, offline=True)
    message = message_of(refused)
    assert message.startswith(f"{REPO} at {revision} is not in the hub client's cache ({hub.cache}")
    assert server.requests == []
