"""`qa-worker model pull`, from the hub to an answer, each command a process of its own."""

import json
import os
import pty
import signal
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.model_tools import published_models as published
from tests.model_tools.commands import Machine, complaint
from tests.model_tools.hub_repos import MEMBER, Hold
from tests.model_tools.hub_server import HubServer, hub_server
from tests.model_tools.published_models import external_export
from tests.model_tools.random_weights import TINY_BERT, TINY_DISTILBERT
from tests.model_tools.sentence_transformers.published import DenseModule, sentence_transformers
from worker.models.bundle import open_bundle
from worker.models.manifest import Task

pytestmark = pytest.mark.process

REPO = "ada/tiny"
ASK = ("ask", "--question", "a", "--context", "b answer c", "--json")


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with hub_server() as server:
        yield server


@pytest.fixture
def machine(tmp_path: Path, hub: HubServer) -> Machine:
    return Machine(tmp_path, hub)


def pulled(machine: Machine, *options: str, **variables: str) -> str:
    """What the command said."""
    done = machine.run("model", "pull", REPO, *options, **variables)
    assert (done.code, done.err) == (0, "")
    return done.out


def test_pulled_export_is_used_by_name(machine: Machine, hub: HubServer) -> None:
    files = published.export()
    commit = hub.put(REPO, files)
    assert "(QA_MODEL=tiny)" in pulled(machine, "--knows-no-answer")
    bundle = open_bundle(machine.models / "tiny")
    assert bundle.model_file.read_bytes() == files["onnx/model.onnx"]
    assert (bundle.directory / "README.md").read_bytes() == published.CARD
    manifest = bundle.manifest
    assert (manifest.name, manifest.source, manifest.revision) == ("tiny", REPO, commit.sha)
    assert (manifest.max_tokens, manifest.knows_no_answer) == (64, True)
    assert machine.hidden() == []
    done = machine.run(*ASK, QA_MODEL="tiny")
    assert (done.code, done.err) == (0, "")
    answer = json.loads(done.out)
    assert (answer["answer"], answer["model"]["name"]) == ("answer", "tiny")


def test_pulled_weights_are_converted(machine: Machine, hub: HubServer) -> None:
    hub.put(REPO, published.vocabulary_alone(TINY_BERT))
    done = machine.run("model", "pull", REPO, "--name", "bert.v2")
    assert done.code == 0
    assert done.err.startswith("note: windows hold only 12 tokens, by model_max_length of ")
    manifest = open_bundle(machine.models / "bert.v2").manifest
    assert manifest.inputs == ("input_ids", "attention_mask", "token_type_ids")
    assert (manifest.task, manifest.precision) == (Task.QUESTION_ANSWERING, "float32")
    # Of the tokenizer's configuration; the model itself would take 16.
    assert manifest.max_tokens == 12
    done = machine.run(*ASK, QA_MODEL="bert.v2")
    assert (done.code, done.err) == (0, "")
    answer = json.loads(done.out)
    assert answer["answer"] == "b answer c"[answer["start"] : answer["end"]]


def test_pulled_encoder_pools_as_published(machine: Machine, hub: HubServer) -> None:
    dense = DenseModule(in_features=TINY_DISTILBERT["dim"], out_features=5)
    files = {
        **published.safetensors(head=False),
        **sentence_transformers(Pooling="cls", Dense=dense, Normalize=None),
    }
    hub.put(REPO, files)
    pulled(machine)
    manifest = open_bundle(machine.models / "tiny").manifest
    assert manifest.task is Task.EMBEDDINGS
    assert manifest.pooling is not None
    assert (manifest.pooling.mode, manifest.pooling.normalize) == ("cls", True)
    done = machine.run("ask", "--text", "b answer c", "--json", QA_MODEL="tiny")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["dims"] == 5


def test_refused_export_names_the_other_weights(machine: Machine, hub: HubServer) -> None:
    export = published.answering_model().replace(b"start_logits", b"other_logits")
    hub.put(REPO, {**published.safetensors(), "onnx/model.onnx": export})
    said = complaint(machine.run("model", "pull", REPO))
    assert said.startswith("tiny/model.onnx: its outputs are ['end_logits', 'other_logits']; ")
    assert said.endswith("; model.safetensors may work: pull it with --weights safetensors")
    pulled(machine, "--weights", "safetensors")
    assert open_bundle(machine.models / "tiny").manifest.inputs == ("input_ids", "attention_mask")


def test_weights_beside_an_export_are_pulled(machine: Machine, hub: HubServer) -> None:
    hub.put(REPO, external_export())
    pulled(machine)
    assert len(hub.asked_for("onnx/model.onnx_data")) >= 1
    done = machine.run(*ASK, QA_MODEL="tiny")
    assert json.loads(done.out)["answer"] == "answer"
    pulled(machine, "--replace", "--offline")


def test_pull_succeeds_after_a_killed_one(machine: Machine, hub: HubServer) -> None:
    hub.put(REPO, published.export())
    hold = hub.faults.hold["onnx/model.onnx"] = Hold(after=100)
    with machine.start("model", "pull", REPO) as process:
        assert hold.reached.wait(60)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert not machine.models.exists()
    pulled(machine)
    assert open_bundle(machine.models / "tiny").name == "tiny"


def test_hub_client_variables_apply(machine: Machine, hub: HubServer) -> None:
    hub.put(REPO, published.export())
    hub.repos[REPO].gated = True
    said = complaint(machine.run("model", "pull", REPO))
    assert said.startswith(f"{REPO} is gated: ask for access on its page, then give a token")
    login = machine.home / "hf" / "token"
    login.parent.mkdir(exist_ok=True)
    login.write_text(MEMBER)
    pulled(machine)
    login.unlink()
    pulled(machine, "--replace", HF_TOKEN=MEMBER)
    hub.requests.clear()
    pulled(machine, "--replace", HF_HUB_OFFLINE="1")
    pulled(machine, "--replace", "--offline")
    assert hub.requests == []


def test_existing_name_is_refused_before_any_request(machine: Machine, hub: HubServer) -> None:
    hub.put(REPO, published.export())
    (machine.models / "tiny").mkdir(parents=True)
    said = complaint(machine.run("model", "pull", REPO))
    assert said.endswith("models/tiny exists; choose another --name, or --replace it")
    assert hub.requests == []


def test_storage_failure_names_a_workaround(machine: Machine, hub: HubServer) -> None:
    hub.put(REPO, published.export())
    hub.faults.xet = True
    said = complaint(machine.run("model", "pull", REPO, HF_XET_CLIENT_RETRY_MAX_ATTEMPTS="0"))
    assert said.startswith(f"{REPO}: the hub's storage fails (")
    assert said.endswith("or set HF_HUB_DISABLE_XET=1 to download over plain HTTP")
    pulled(machine, HF_HUB_DISABLE_XET="1")


def test_terminal_shows_a_progress_bar(machine: Machine, hub: HubServer) -> None:
    hub.put(REPO, published.export())
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    termios.tcsetwinsize(theirs, (24, 120))
    try:
        machine.terminal = theirs
        done = machine.run("model", "pull", REPO)
        shown = os.read(ours, 1 << 16).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.code == 0
    assert "100%" in shown
