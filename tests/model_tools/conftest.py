"""The four kinds of model that the converter writes, tiny; and a hub to fetch from."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.model_tools.hub_server import HubServer, hub_server
from tests.model_tools.tiny_models import Model, tiny_model
from worker.model_tools.hub.download import Hub


@pytest.fixture(
    scope="session",
    params=[("distilbert", True), ("distilbert", False), ("bert", True), ("bert", False)],
    ids=["distilbert-head", "distilbert-encoder", "bert-head", "bert-encoder"],
)
def model(request: pytest.FixtureRequest) -> Model:
    family, head = request.param
    return tiny_model(family, head=head)


@pytest.fixture
def server() -> Iterator[HubServer]:
    with hub_server() as server:
        yield server


@pytest.fixture
def hub(tmp_path: Path, server: HubServer, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """For a user who is not logged in."""
    # Else the client asks the real hub which program starts it.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    return Hub(server.url, tmp_path / "cache", token=False)
