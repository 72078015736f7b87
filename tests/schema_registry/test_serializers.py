"""Confluent's serializers and deserializers for Python, through Apache Kafka and Apicurio."""

import pytest

from tests.brokers.protocol import Broker
from tests.schema_registry.exchange import exchange
from tests.schema_registry.serializers import ID_PLACES, METADATA

pytestmark = [pytest.mark.process, pytest.mark.tools]


@pytest.mark.parametrize(
    ("answer_format", "delivery"),
    [
        ("json", "exactly_once"),
        ("avro", "at_least_once"),
        ("json_schema", "exactly_once"),
        ("protobuf", "at_least_once"),
    ],
)
async def test_confluents_serializers_ask_and_read(
    apache_kafka: Broker, guid_registry_url: str, answer_format: str, delivery: str
) -> None:
    results = await exchange(
        apache_kafka.bootstrap_servers, guid_registry_url, answer_format, delivery
    )
    assert [(each.format, each.id_place, problem) for each, problem in results] == [
        (question_format, id_place, "") for question_format in METADATA for id_place in ID_PLACES
    ]
