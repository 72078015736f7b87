"""Create the topics, and check that they are there and take what the worker sends."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, TopicAuthorizationFailedError, for_code

from worker.kafka.acl import RequiredAcls, find_missing, format_missing, required_by_worker
from worker.kafka.connection import connection_options
from worker.kafka.diagnostics import explain_connection_errors
from worker.kafka.errors import StreamingError
from worker.settings import KafkaSettings, Settings

log = structlog.get_logger(__name__)

LIMIT = "max.message.bytes"

DEFAULT_LIMIT = 1_048_588
"""Kafka's own default, for a broker or a user without the right to describe a topic's settings."""

HEADROOM_BYTES = 64 * 1024
"""What a dead letter may add to its question's record: headers with a message of a few KB."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as the broker has it; `partitions` is 0 for one that is not there."""

    name: str
    partitions: int
    max_message_bytes: int
    max_message_bytes_unknown: bool
    """The broker did not tell it: no DESCRIBE_CONFIGS on the topic."""


async def describe(settings: Settings) -> list[Topic]:
    """Questions, answers and dead letters, in this order. Raises `KafkaError`."""
    async with _admin(settings.kafka) as admin:
        return await _describe(admin, settings)


async def check_topics(settings: Settings) -> Mapping[str, int]:
    """Topic to `max.message.bytes`, for a worker. Raises `StreamingError` where a topic or a right
    is missing, `KafkaError`.
    """
    topics = await require_topics(settings, required_by_worker(settings))
    for topic in topics[1:]:  # those that it writes to
        if topic.max_message_bytes_unknown:
            log.warning(
                "max_message_bytes_unknown",
                topic=topic.name,
                max_message_bytes=topic.max_message_bytes,
                why="the brokers do not tell; grant DESCRIBE_CONFIGS on the topic",
            )
    return {topic.name: topic.max_message_bytes for topic in topics}


async def require_topics(settings: Settings, rights: RequiredAcls) -> list[Topic]:
    """Questions, answers and dead letters, in this order. Raises `StreamingError` where one of
    `rights` is missing, or a topic that they name; `KafkaError`.
    """
    async with _admin(settings.kafka) as admin:
        topics = await _describe(admin, settings)
        denied = await find_missing(admin, rights)
    if denied:
        raise StreamingError(format_missing(settings.kafka, denied))
    missing = [t.name for t in topics if t.name in rights.topics and not t.partitions]
    if missing:
        raise StreamingError(
            f"no topic {', '.join(missing)} on {settings.kafka.bootstrap_servers}: create it "
            f"(`qa-worker topics create`)"
        )
    return topics


def topic_limits(settings: Settings) -> dict[str, int]:
    """Topic to the `max.message.bytes` that it is created with: questions, answers, dead letters.

    They take the largest record that the worker takes, the dead letters with headroom for their
    headers.
    """
    largest = settings.qa.max_record_bytes + HEADROOM_BYTES
    return dict(zip(_names(settings), (largest, largest, largest + HEADROOM_BYTES), strict=True))


async def create_topics(settings: Settings, *, partitions: int, replication: int) -> dict[str, str]:
    """Create what is missing. Topic to what became of it: `created` or `exists`.

    Raises `StreamingError` where the right to is missing, `KafkaError`.
    """
    new = [
        NewTopic(name, partitions, replication, topic_configs={LIMIT: str(limit)})
        for name, limit in topic_limits(settings).items()
    ]
    outcome = {}
    async with _admin(settings.kafka) as admin:
        response = await admin.create_topics(new)
    for name, code, *message in response.topic_errors:
        error = for_code(code)
        if error is TopicAuthorizationFailedError:
            raise StreamingError(format_missing(settings.kafka, [f"CREATE on topic {name}"]))
        if code and error is not TopicAlreadyExistsError:
            raise error(f"{name}: {message[0] if message else ''}")
        outcome[name] = "exists" if code else "created"
    return outcome


async def _describe(admin: AIOKafkaAdminClient, settings: Settings) -> list[Topic]:
    names = _names(settings)
    # All topics, since asking for one by name can create it.
    known = {topic["topic"]: topic for topic in await admin.describe_topics()}
    require_topics = [name for name in names if name in known and not known[name]["error_code"]]
    limits = await _limits(admin, require_topics)
    return [
        Topic(
            name,
            len(known[name]["partitions"]) if name in require_topics else 0,
            limits.get(name, DEFAULT_LIMIT),
            name not in limits,
        )
        for name in names
    ]


def _names(settings: Settings) -> list[str]:
    qa = settings.qa
    return [qa.questions_topic, qa.answers_topic, qa.dead_letters_topic]


async def _limits(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, name, configs={LIMIT: None}) for name in names
    ]
    limits = {}
    for response in await admin.describe_configs(resources) if names else []:
        for code, _, _, name, entries, *_ in response.resources:
            for key, value, *_ in entries if not code else ():
                if key == LIMIT:
                    limits[name] = int(value)
    return limits


@asynccontextmanager
async def _admin(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**connection_options(kafka))
    try:
        async with explain_connection_errors(kafka):
            await admin.start()
        yield admin
    finally:
        await admin.close()
