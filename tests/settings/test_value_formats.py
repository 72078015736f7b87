"""The answers' format needs a registry, and registration a format with schemas."""

import pytest

from tests.environments import refused
from worker.settings.environment import load
from worker.settings.value_formats import AnswerFormat

REGISTRY = {"SCHEMA_REGISTRY_URL": "http://registry:8081"}


def test_answers_are_json_and_nothing_is_registered_by_default() -> None:
    qa = load({"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092", **REGISTRY}).qa
    assert qa.answer_format is AnswerFormat.JSON
    assert not qa.register_schemas


@pytest.mark.parametrize("answer_format", ["avro", "json_schema", "protobuf"])
def test_a_format_with_schemas_needs_a_registry(answer_format: str) -> None:
    message = refused(QA_ANSWER_FORMAT=answer_format)
    assert message.endswith(
        f"QA_ANSWER_FORMAT={answer_format} names a schema of the registry; it needs "
        f"SCHEMA_REGISTRY_URL"
    )
    environment = {"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092", "QA_ANSWER_FORMAT": answer_format}
    assert load({**environment, **REGISTRY}).qa.answer_format == answer_format


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    message = refused(QA_ANSWER_FORMAT="thrift", **REGISTRY)
    assert "QA_ANSWER_FORMAT is 'thrift'" in message
    assert "'json', 'avro', 'json_schema' or 'protobuf'" in message


def test_registration_needs_a_registry() -> None:
    message = refused(QA_REGISTER_SCHEMAS="true")
    assert message.endswith("QA_REGISTER_SCHEMAS needs SCHEMA_REGISTRY_URL")
    # `qa-worker ask --format` registers the schema of questions whose answers are JSON.
    environment = {"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092", "QA_REGISTER_SCHEMAS": "true"}
    assert load({**environment, **REGISTRY}).qa.register_schemas
