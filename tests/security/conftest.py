"""The broker with everything on, shared by these tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.secured import Secured, secured


@pytest.fixture(scope="session")
def kafka(
    _apache_kafka_can_be_had: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secured]:
    with secured(tmp_path_factory.mktemp("secured")) as broker:
        yield broker
