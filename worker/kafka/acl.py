"""The ACLs that a command requires: which topic operations are missing, and how an authorization
error reads.

A worker learns at its start that a topic operation is missing (KIP-430), not when it publishes its
first dead letter. Missing permissions on the group or a transactional id show themselves within
seconds: the broker rejects JoinGroup or InitProducerId.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from worker.kafka._aiokafka import send_to_any_broker
from worker.kafka.errors import format_error
from worker.kafka.metadata_request import TopicMetadataRequest
from worker.settings import KafkaSettings, Settings

log = structlog.get_logger(__name__)

_AUTHORIZATION_ERRORS = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)


class Operation(IntEnum):
    """An ACL operation; the value is its bit in Kafka's bit field."""

    READ = 3
    WRITE = 4
    DESCRIBE = 8


RequiredAcls = Mapping[str, tuple[Operation, ...]]
"""Topic to the operations that a command needs. Each of them implies DESCRIBE."""


def required_by_worker(settings: Settings) -> RequiredAcls:
    """The topic ACLs of `qa-worker run`."""
    qa = settings.qa
    return {
        # A topic for replies may not exist yet; of those with a prefix the names are not known.
        **dict.fromkeys(qa.named_reply_topics, (Operation.WRITE,)),
        **dict.fromkeys(qa.question_topics, (Operation.READ,)),
        **dict.fromkeys(qa.output_topics, (Operation.WRITE,)),
    }


async def find_missing(admin: AIOKafkaAdminClient, required: RequiredAcls) -> list[str]:
    """The missing ACLs, as `WRITE on topic qa.answers`. Empty if the brokers do not tell."""
    try:
        response = await send_to_any_broker(admin, TopicMetadataRequest(required))
    except (KafkaError, NotImplementedError) as error:
        # Older than Kafka 2.8. The request that needs the permission will fail instead.
        log.debug("acls_unknown", error=format_error(error))
        return []
    return [
        f"{operation.name} on topic {name}"
        for code, name, _, _, _, _, operations, _ in response.topics
        for operation in required[name]
        if code == TopicAuthorizationFailedError.errno or is_missing(operation, operations)
    ]


def is_missing(operation: Operation, operations: int) -> bool:
    """Whether a topic's bit field of authorized operations shows that the operation is not one."""
    # A principal with any permission also has DESCRIBE; without that bit the field is not filled.
    is_filled = operations >= 0 and operations & 1 << Operation.DESCRIBE
    return bool(is_filled) and not operations & 1 << operation


def format_missing(kafka: KafkaSettings, missing: Sequence[str]) -> str:
    """One line for users."""
    # Only a SASL user name is the principal's name; brokers derive it from certificates and tokens.
    is_named = kafka.security_protocol.startswith("SASL") and kafka.sasl_username
    principal = f"User:{kafka.sasl_username}" if is_named else "the worker's principal"
    return f"{principal} lacks {', '.join(missing)}; see deploy/security.md"


def find_authorization_error(error: BaseException) -> BaseException | None:
    """The authorization error that `error` is or that aiokafka wrapped in it."""
    causes = (error, error.__cause__, error.__context__)
    return next((cause for cause in causes if isinstance(cause, _AUTHORIZATION_ERRORS)), None)


def explain_authorization_error(error: BaseException, settings: Settings) -> str:
    """One line for users that names the missing ACL of a worker, as far as the error tells."""
    kafka = settings.kafka
    if isinstance(error, TransactionalIdAuthorizationFailed):
        # One prefixed ACL covers the transactional ids of all partitions of a topic.
        prefixes = [f"{kafka.group_id}:{topic}:" for topic in settings.qa.question_topics]
        missing = f"WRITE on transactional ids that begin with {' or '.join(prefixes)}"
    elif isinstance(error, GroupAuthorizationFailedError):
        missing = f"READ on group {kafka.group_id}"
    elif isinstance(error, ClusterAuthorizationFailedError):
        # From Kafka 2.8 on, WRITE on any topic implies it (KIP-679).
        missing = "IDEMPOTENT_WRITE on the cluster, which brokers older than 2.8 require"
    else:
        missing = f"a permission ({format_error(error)})"
    return format_missing(kafka, [missing])
