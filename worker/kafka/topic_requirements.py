"""Checks at the start of a command that its topics exist and that it has the ACLs for them."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from worker.kafka.acl import RequiredAcls, find_missing, format_missing, required_by_worker
from worker.kafka.errors import StreamingError
from worker.kafka.topics import Topic, admin_client, describe_named, describe_with
from worker.settings import Settings

log = structlog.get_logger(__name__)


async def require_topics(settings: Settings, required: RequiredAcls) -> list[Topic]:
    """Returns the topics in the order of `topic_names`.

    Raises `StreamingError` if an ACL in `required` is missing or one of its topics does not exist;
    `KafkaError`.
    """
    async with admin_client(settings.kafka) as admin:
        topics = await describe_with(admin, settings)
        missing_acls = await find_missing(admin, required)
    if missing_acls:
        raise StreamingError(format_missing(settings.kafka, missing_acls))
    missing = [t.name for t in topics if t.name in required and not t.partitions]
    if missing:
        raise StreamingError(
            f"no topic {', '.join(missing)} on {settings.kafka.bootstrap_servers}: create it "
            f"(`qa-worker topics create`)"
        )
    return topics


async def require_named_topics(settings: Settings, required: RequiredAcls) -> list[Topic]:
    """Returns the topics of `required`, in its order, which need not be those of the settings.

    Raises as `require_topics`.
    """
    async with admin_client(settings.kafka) as admin:
        topics = await describe_named(admin, list(required))
        missing_acls = await find_missing(admin, required)
    if missing_acls:
        raise StreamingError(format_missing(settings.kafka, missing_acls))
    if missing := [topic.name for topic in topics if not topic.partitions]:
        raise StreamingError(
            f"no topic and no file {', '.join(missing)}: {settings.kafka.bootstrap_servers} "
            f"(KAFKA_BOOTSTRAP_SERVERS) has no such topic"
        )
    return topics


@dataclass(frozen=True, slots=True)
class OutputTopics:
    """What the worker has to know of the topics that it publishes to."""

    limits: Mapping[str, int]
    """Topic to `max.message.bytes`, at most KAFKA_MAX_REQUEST_SIZE; the questions topics too."""
    compacted: frozenset[str]


async def check_topics(settings: Settings) -> OutputTopics:
    """As `require_topics`, for the worker; logs what the operator should know."""
    topics = await require_topics(settings, required_by_worker(settings))
    outputs = [topic for topic in topics if topic.name not in settings.qa.question_topics]
    largest = settings.kafka.max_request_size or sys.maxsize
    for topic in outputs:
        if topic.max_message_bytes_unknown:
            log.warning(
                "max_message_bytes_unknown",
                topic=topic.name,
                max_message_bytes=topic.max_message_bytes,
                reason="the broker does not tell; grant DESCRIBE_CONFIGS on the topic",
            )
        if topic.compacted:
            log.warning(
                "topic_compacted",
                topic=topic.name,
                reason="its cleanup.policy has compact: the brokers delete all but the last record "
                "of a key; a question without a key gets its topic-partition-offset as the key",
            )
    return OutputTopics(
        {topic.name: min(topic.max_message_bytes, largest) for topic in topics},
        frozenset(topic.name for topic in outputs if topic.compacted),
    )
