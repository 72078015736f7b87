"""What the cluster can do, asked of a client that is not connected. On a broker:
tests/streaming/test_other_brokers.py.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from worker.kafka import cluster_support
from worker.kafka.cluster_support import find_producer_ids
from worker.kafka.errors import StreamingError
from worker.settings.environment import load


class Closing:
    """A client whose brokers close the connection at each request after the login."""

    def get_random_node(self) -> int:
        return 1

    async def send(self, *_: Any) -> Any:
        raise KafkaConnectionError("closed")

    async def force_metadata_update(self) -> None: ...


async def test_brokers_that_do_not_tell_their_versions_are_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @asynccontextmanager
    async def connected(_: Any) -> AsyncIterator[Closing]:
        yield Closing()

    monkeypatch.setattr(cluster_support, "_connected", connected)
    kafka = load({"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"}).kafka
    with pytest.raises(
        StreamingError, match=r"^kafka:9092: the brokers close the connection at ApiVersions; see"
    ):
        await find_producer_ids(kafka)
