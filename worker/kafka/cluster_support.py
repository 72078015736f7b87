"""What the cluster can do, asked before the process joins its group.

Not every endpoint that speaks Kafka's protocol has transactions or producer ids. The ways in which
such brokers answer, each seen in a public report or in the broker's source: the request is missing
in ApiVersions (Event Hubs, Redpanda with `enable_transactions: false`), FindCoordinator has an
error (Event Hubs, in the Standard tier), or the broker closes the connection (Pulsar's KoP).
A coordinator that is not there yet is waited for; a missing ACL is raised as it is.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import IntEnum
from itertools import chain, repeat
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    KafkaConnectionError,
    KafkaError,
    NoError,
    for_code,
)
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.transaction import InitProducerIdRequest

from worker.kafka.acl import find_authorization_error
from worker.kafka.broker_client import PAUSES, client_for_transactions
from worker.kafka.deadline import deadline, note_interrupted
from worker.kafka.diagnostics import explain_connection_errors
from worker.kafka.errors import Recovery, StreamingError, format_error, recovery_for
from worker.kafka.transactions import transactional_id
from worker.settings import KafkaSettings, Settings

log = structlog.get_logger(__name__)

CLOSED_CONNECTIONS = 3
"""So many in a row, each closed at the same request after a login that succeeded, are an answer."""

SEE = "see deploy/clusters.md"

NO_COORDINATOR = (
    "can the brokers create __transaction_state (its transaction.state.log.replication.factor, 3 "
    "by default, needs as many brokers)? QA_DELIVERY=at_least_once needs no coordinator"
)


class Api(IntEnum):
    """Requests that a cluster may lack, by their key in the protocol."""

    METADATA = 3
    OFFSET_FETCH = 9
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28

    @property
    def request(self) -> str:
        """The request's name in the protocol."""
        return self.name.title().replace("_", "")


TRANSACTIONS: Mapping[Api, int] = {
    Api.INIT_PRODUCER_ID: 0,
    Api.ADD_PARTITIONS_TO_TXN: 0,
    Api.END_TXN: 0,
}
"""What a transaction of records needs, each with its lowest version."""

EXACTLY_ONCE: Mapping[Api, int] = {
    **TRANSACTIONS,
    Api.ADD_OFFSETS_TO_TXN: 0,
    Api.TXN_OFFSET_COMMIT: 3,
    Api.OFFSET_FETCH: 7,
}
"""What a transaction of records and offsets needs; the versions are those of KIP-447."""

REPLIES: Mapping[Api, int] = {Api.METADATA: 10}
"""What topics that clients name need: authorized operations of one topic at a time (KIP-430)."""


@dataclass(frozen=True, slots=True)
class ClusterSupport:
    """What the deliveries have to know."""

    producer_ids: bool = True
    """Whether the brokers give producer ids (InitProducerId), by which a leader recognizes a batch
    that is sent again."""


class RefusedError(Exception):
    """The cluster does not have what was asked for; the message is why, in the brokers' words."""


def find_missing_requests(
    versions: Mapping[int, tuple[int, int]], needed: Mapping[Api, int]
) -> str:
    """Why `versions` (key of a request to its lowest and highest version) does not suffice; empty
    if it does.
    """
    missing = [api.request for api in needed if api not in versions]
    older = [
        f"{api.request} version {lowest} (the brokers have {versions[api][1]})"
        for api, lowest in needed.items()
        if api in versions and versions[api][1] < lowest
    ]
    return f"ApiVersions lacks {', '.join([*missing, *older])}" if missing or older else ""


async def require_delivery(settings: Settings) -> ClusterSupport:
    """Ask whether the cluster can do what the settings want.

    Raises `StreamingError` if it cannot, `KafkaError` for a missing ACL, `TimeoutError` if the
    transaction coordinator is not there within KAFKA_REQUEST_TIMEOUT_MS.
    """
    kafka, qa = settings.kafka, settings.qa
    async with _connected(kafka) as client:
        versions = await _versions(client, kafka)
        if qa.reply_topics and (why := find_missing_requests(versions, REPLIES)):
            raise StreamingError(
                f"QA_REPLY_TOPICS cannot be used with {kafka.bootstrap_servers}: {why}; {SEE}"
            )
        if qa.delivery == "exactly_once":
            name = transactional_id(kafka.group_id, TopicPartition(qa.questions_topic, 0))
            try:
                await _require(client, versions, EXACTLY_ONCE, name, kafka)
            except RefusedError as refused:
                raise StreamingError(no_transactions(kafka, str(refused))) from None
            except TimeoutError as error:
                raise TimeoutError(f"{error}; {NO_COORDINATOR}") from None
            return ClusterSupport()
        why = await _find_why_no_producer_ids(client, versions, kafka)
        if why:
            log.warning(
                "idempotence_unavailable",
                reason=why,
                what="a batch whose acknowledgement is lost is published twice",
            )
        return ClusterSupport(producer_ids=not why)


async def find_producer_ids(kafka: KafkaSettings) -> bool:
    """Whether the brokers give producer ids. Raises `StreamingError`, `KafkaError` and
    `TimeoutError`.
    """
    async with _connected(kafka) as client:
        return not await _find_why_no_producer_ids(client, await _versions(client, kafka), kafka)


async def require_transactions(kafka: KafkaSettings, name: str) -> None:
    """Ask whether the cluster has transactions, for the transactional id `name`.

    Raises `RefusedError` if it has none, `StreamingError`, `KafkaError`, and `TimeoutError`.
    """
    async with _connected(kafka) as client:
        await _require(client, await _versions(client, kafka), TRANSACTIONS, name, kafka)


def no_transactions(kafka: KafkaSettings, why: str) -> str:
    """One line for users of the worker."""
    return (
        f"{kafka.bootstrap_servers} has no transactions, which QA_DELIVERY=exactly_once (the "
        f"default) needs ({why}); set QA_DELIVERY=at_least_once; {SEE}"
    )


@asynccontextmanager
async def _connected(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaClient]:
    client = client_for_transactions(kafka)
    try:
        async with (
            deadline(kafka.request_timeout_ms / 1000, "connection to a broker"),
            explain_connection_errors(kafka),
        ):
            await client.bootstrap()
        yield client
    finally:
        await client.close()


async def _versions(client: AIOKafkaClient, kafka: KafkaSettings) -> dict[int, tuple[int, int]]:
    """Raises `StreamingError` if the brokers do not tell."""
    try:
        response = await _ask(client, ApiVersionRequest(), "ApiVersions", kafka)
    except RefusedError as refused:
        raise StreamingError(f"{kafka.bootstrap_servers}: {refused}; {SEE}") from None
    return {key: (lowest, highest) for key, lowest, highest in response.api_versions}


async def _require(
    client: AIOKafkaClient,
    versions: Mapping[int, tuple[int, int]],
    needed: Mapping[Api, int],
    name: str,
    kafka: KafkaSettings,
) -> None:
    """Raises `RefusedError` if the cluster does not have what a transaction needs."""
    if why := find_missing_requests(versions, needed):
        raise RefusedError(why)
    request = FindCoordinatorRequest(name, CoordinationType.TRANSACTION)
    await _ask(client, request, "FindCoordinator for a transactional id", kafka)


async def _find_why_no_producer_ids(
    client: AIOKafkaClient, versions: Mapping[int, tuple[int, int]], kafka: KafkaSettings
) -> str:
    """Empty if the brokers give producer ids."""
    if why := find_missing_requests(versions, {Api.INIT_PRODUCER_ID: 0}):
        return why
    request = InitProducerIdRequest(None, kafka.request_timeout_ms)
    try:
        await _ask(client, request, Api.INIT_PRODUCER_ID.request, kafka)
    except RefusedError as refused:
        return str(refused)
    return ""


async def _ask(client: AIOKafkaClient, request: Any, what: str, kafka: KafkaSettings) -> Any:
    """The response of a broker, without an error. Repeats the request while that may help.

    Raises `RefusedError` if it cannot help, `KafkaError` for a missing ACL, `TimeoutError` after
    KAFKA_REQUEST_TIMEOUT_MS.
    """
    async with deadline(kafka.request_timeout_ms / 1000, f"answer to {what}"):
        return await _ask_repeatedly(client, request, what)


async def _ask_repeatedly(client: AIOKafkaClient, request: Any, what: str) -> Any:
    closed, last = 0, "not answered"
    for pause in chain(PAUSES, repeat(PAUSES[-1])):
        try:
            return await _ask_once(client, request, what)
        except KafkaError as error:
            if recovery_for(error) is not Recovery.RETRY:
                raise
            # Connecting includes ApiVersions and the login: a connection that is closed after
            # these is closed because of the request.
            closed = closed + 1 if isinstance(error, KafkaConnectionError) else 0
            if closed == CLOSED_CONNECTIONS:
                raise RefusedError(f"the brokers close the connection at {what}") from None
            last = format_error(error)
            log.debug("request_retried", request=what, error=last)
        except asyncio.CancelledError:
            note_interrupted(last.rstrip("."))
            raise
        try:
            await client.force_metadata_update()
            await asyncio.sleep(pause)
        except asyncio.CancelledError:
            note_interrupted(last.rstrip("."))
            raise
    raise AssertionError("the pauses never end")


async def _ask_once(client: AIOKafkaClient, request: Any, what: str) -> Any:
    """Raises `RefusedError` for an error that a repetition does not cure, `KafkaError` for others
    and for a missing ACL.
    """
    try:
        response = await client.send(client.get_random_node(), request)
    except (NotImplementedError, IncompatibleBrokerVersion):
        raise RefusedError(f"no version of {what} suits both sides") from None
    error = for_code(response.error_code)
    if error is NoError:
        return response
    words = getattr(response, "error_message", None)
    raised = error(words) if words else error()
    if recovery_for(raised) is Recovery.RETRY or find_authorization_error(raised) is not None:
        raise raised
    raise RefusedError(f"{what}: {format_error(raised)}")
