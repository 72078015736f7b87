"""Describes and creates the worker's topics: questions, answers, dead letters, and unsure questions
if they have a topic, in this order.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnsupportedVersionError,
    for_code,
)

from worker.kafka._aiokafka import send_to_any_broker
from worker.kafka.acl import format_missing
from worker.kafka.connection import connection_options
from worker.kafka.diagnostics import explain_connection_errors, require_advertised_broker
from worker.kafka.errors import StreamingError
from worker.kafka.metadata_request import NamedTopicsRequest
from worker.settings import KafkaSettings, Settings

MAX_MESSAGE_BYTES = "max.message.bytes"
CLEANUP_POLICY = "cleanup.policy"

DEFAULT_MAX_MESSAGE_BYTES = 1_048_588
"""Kafka's default, assumed without the permission to describe a topic's configuration."""

HEADROOM_BYTES = 64 * 1024
"""A dead letter is larger than its question by its headers, which hold a message of a few KB."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as the brokers describe it; `partitions` is 0 if it does not exist."""

    name: str
    partitions: int
    max_message_bytes: int
    max_message_bytes_unknown: bool
    """DESCRIBE_CONFIGS on the topic is missing, so the default is assumed."""
    compacted: bool = False
    """Whether its cleanup.policy has `compact`: it takes no record without a key, and keeps the
    last record of each key only.
    """


@asynccontextmanager
async def admin_client(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Raises `KafkaError`, or `StreamingError` if a broker rejects the login."""
    admin = AIOKafkaAdminClient(**connection_options(kafka))
    try:
        async with explain_connection_errors(kafka):
            await admin.start()
        await require_advertised_broker(kafka, admin)
        yield admin
    finally:
        await admin.close()


async def describe_topics(settings: Settings) -> list[Topic]:
    """Raises `KafkaError`, `StreamingError`."""
    async with admin_client(settings.kafka) as admin:
        return await describe_with(admin, settings)


async def describe_with(admin: AIOKafkaAdminClient, settings: Settings) -> list[Topic]:
    """As `describe_topics`, with a client that is connected already."""
    return await describe_named(admin, topic_names(settings))


async def describe_named(admin: AIOKafkaAdminClient, names: Sequence[str]) -> list[Topic]:
    """The topics with these names. Raises `KafkaError`."""
    response = await send_to_any_broker(admin, NamedTopicsRequest(names))
    described = {topic["topic"]: topic for topic in response.to_object()["topics"]}
    existing = [name for name in names if name in described and not described[name]["error_code"]]
    configs = await _fetch_configs(admin, existing)
    return [
        Topic(
            name,
            len(described[name]["partitions"]) if name in existing else 0,
            int(configs.get(name, {}).get(MAX_MESSAGE_BYTES, DEFAULT_MAX_MESSAGE_BYTES)),
            MAX_MESSAGE_BYTES not in configs.get(name, {}),
            "compact" in configs.get(name, {}).get(CLEANUP_POLICY, ""),
        )
        for name in names
    ]


def new_topic_limits(settings: Settings) -> dict[str, int]:
    """Topic to the `max.message.bytes` that `create_topics` sets: room for the largest record that
    the worker accepts, and for the headers of a dead letter or an unsure question.
    """
    largest = settings.qa.max_record_bytes + HEADROOM_BYTES
    answers, *others = settings.qa.output_topics
    forwarding = dict.fromkeys(others, largest + HEADROOM_BYTES)
    return {**dict.fromkeys([*settings.qa.question_topics, answers], largest), **forwarding}


async def create_topics(settings: Settings, *, partitions: int, replication: int) -> dict[str, str]:
    """Create the topics that do not exist. Returns topic to `created` or `exists`.

    Raises `StreamingError` if a permission is missing, else `KafkaError`.
    """
    new = [
        NewTopic(name, partitions, replication, topic_configs={MAX_MESSAGE_BYTES: str(limit)})
        for name, limit in new_topic_limits(settings).items()
    ]
    outcome = {}
    async with admin_client(settings.kafka) as admin:
        response = await admin.create_topics(new)
    for name, code, *message in response.topic_errors:
        error = for_code(code)
        if error is TopicAuthorizationFailedError:
            raise StreamingError(format_missing(settings.kafka, [f"CREATE on topic {name}"]))
        if code and error is not TopicAlreadyExistsError:
            raise error(f"{name}: {message[0] if message else ''}")
        outcome[name] = "exists" if code else "created"
    return outcome


def topic_names(settings: Settings) -> list[str]:
    """Questions, answers, dead letters, unsure questions if they have a topic."""
    return settings.qa.topics


async def _fetch_configs(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    """Topic to its properties, without those topics that may not be described; empty if the brokers
    do not have the request.
    """
    wanted = dict.fromkeys((MAX_MESSAGE_BYTES, CLEANUP_POLICY))
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, configs=wanted) for name in names]
    configs = {}
    try:
        described = await admin.describe_configs(resources) if names else []
    except (IncompatibleBrokerVersion, NotImplementedError, UnsupportedVersionError):
        return {}
    for response in described:
        for code, _, _, name, entries, *_ in response.resources:
            if not code:
                configs[name] = {key: value or "" for key, value, *_ in entries if key in wanted}
    return configs
