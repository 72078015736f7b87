"""The four kinds of model that the converter writes, tiny."""

import pytest

from tests.bundles.tiny_models import Model, tiny_model


@pytest.fixture(
    scope="session",
    params=[("distilbert", True), ("distilbert", False), ("bert", True), ("bert", False)],
    ids=["distilbert-head", "distilbert-encoder", "bert-head", "bert-encoder"],
)
def model(request: pytest.FixtureRequest) -> Model:
    family, head = request.param
    return tiny_model(family, head=head)
