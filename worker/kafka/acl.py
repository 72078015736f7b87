"""What we have to be allowed, and what of it the brokers do not allow.

Brokers tell what whoever asks may do with a topic and with a group (KIP-430). So a right that is
missing has its name at the start, not when the first dead letter has to be written. Where brokers
do not tell, the first request that is refused does.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from enum import IntEnum

import structlog
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import CoordinationType
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from worker.kafka.errors import format_error
from worker.kafka.protocol import GroupOperations, TopicOperations
from worker.kafka.transactions import transactional_id
from worker.settings import KafkaSettings, Settings

log = structlog.get_logger(__name__)

_REFUSALS = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)


class Operation(IntEnum):
    """As an ACL names it; the number is its bit."""

    READ = 3
    WRITE = 4
    DESCRIBE = 8


@dataclass(frozen=True, slots=True)
class RequiredAcls:
    """What a command needs. Every operation here implies DESCRIBE."""

    topics: Mapping[str, tuple[Operation, ...]]
    group: str | None = None
    """To READ."""
    transactions: tuple[str, str] | None = None
    """To WRITE: an id, and how the right to it is written down."""


def required_by_worker(settings: Settings) -> RequiredAcls:
    """`qa-worker run`."""
    qa, group = settings.qa, settings.kafka.group_id
    first = transactional_id(group, TopicPartition(qa.questions_topic, 0))
    # One rule for those of all partitions, also the ones to come.
    every = f"transactional ids that begin with {group}:{qa.questions_topic}:"
    return RequiredAcls(
        {
            qa.questions_topic: (Operation.READ,),
            qa.answers_topic: (Operation.WRITE,),
            qa.dead_letters_topic: (Operation.WRITE,),
        },
        group,
        (first, every) if qa.delivery == "exactly_once" else None,
    )


async def find_missing(admin: AIOKafkaAdminClient, rights: RequiredAcls) -> list[str]:
    """What of it the brokers do not allow, as `WRITE on topic qa.answers`."""
    checks = [_of_topics(admin, rights.topics)]
    if rights.group is not None:
        checks.append(_of_group(admin, rights.group))
    if rights.transactions is not None:
        checks.append(_of_transactions(admin, *rights.transactions))
    return [missing for check in checks for missing in await _as_far_as_told(check)]


async def _as_far_as_told(check: Awaitable[list[str]]) -> list[str]:
    try:
        return await check
    except (KafkaError, NotImplementedError) as error:
        # The broker is too old for the question, or has no coordinator yet. If it matters, the
        # request that needs the right will tell.
        log.debug("acls_unknown", error=format_error(error))
        return []


def format_missing(kafka: KafkaSettings, missing: list[str]) -> str:
    """One line for people."""
    return f"{_who(kafka)} lacks {', '.join(missing)}; the README (Security) says what to grant"


def find_authorization_error(error: BaseException) -> BaseException | None:
    """The refusal that `error` is, or was wrapped round by aiokafka."""
    causes = (error, error.__cause__, error.__context__)
    return next((cause for cause in causes if isinstance(cause, _REFUSALS)), None)


def explain_authorization_error(error: BaseException, settings: Settings) -> str:
    """The line for a worker whose request was refused, where the brokers did not tell before."""
    rights = required_by_worker(settings)
    if isinstance(error, TransactionalIdAuthorizationFailed) and rights.transactions is not None:
        missing = f"WRITE on {rights.transactions[1]}"
    elif isinstance(error, GroupAuthorizationFailedError):
        missing = f"READ on group {rights.group}"
    elif isinstance(error, ClusterAuthorizationFailedError):
        # Newer ones take the right to write to any topic for it (KIP-679).
        missing = "IDEMPOTENT_WRITE on the cluster, which brokers older than 2.8 ask for"
    else:
        missing = f"a right ({format_error(error)})"
    return format_missing(settings.kafka, [missing])


async def _of_topics(
    admin: AIOKafkaAdminClient, topics: Mapping[str, tuple[Operation, ...]]
) -> list[str]:
    response = await admin._send_request(TopicOperations(list(topics)))
    return [
        f"{operation.name} on topic {name}"
        for code, name, _, _, allowed in response.topics
        for operation in topics[name]
        if code == TopicAuthorizationFailedError.errno or _is_missing(operation, allowed)
    ]


async def _of_group(admin: AIOKafkaAdminClient, group: str) -> list[str]:
    try:
        coordinator = await admin.find_coordinator(group)
        response = await admin._send_request(GroupOperations(group), coordinator)
        ((code, _, _, _, _, _, allowed),) = response.groups
    except GroupAuthorizationFailedError:
        code, allowed = GroupAuthorizationFailedError.errno, 0
    denied = code == GroupAuthorizationFailedError.errno
    return [f"READ on group {group}"] if denied or _is_missing(Operation.READ, allowed) else []


async def _of_transactions(admin: AIOKafkaAdminClient, transaction: str, named: str) -> list[str]:
    try:
        # Who may not even describe it is not told where it is.
        await admin.find_coordinator(transaction, CoordinationType.TRANSACTION)
    except TransactionalIdAuthorizationFailed:
        return [f"WRITE on {named}"]
    return []


def _is_missing(operation: Operation, allowed: int) -> bool:
    """Not so where a broker does not tell: whoever may do anything may at least describe it."""
    tells = allowed >= 0 and allowed & 1 << Operation.DESCRIBE
    return bool(tells) and not allowed & 1 << operation


def _who(kafka: KafkaSettings) -> str:
    by_name = kafka.security_protocol.startswith("SASL") and kafka.sasl_username
    # A certificate's subject, and what is in a token, are for the brokers to turn into a name.
    return f"User:{kafka.sasl_username}" if by_name else "the worker's principal"
