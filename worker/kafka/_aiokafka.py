"""Uses of aiokafka's private members (0.14), with the upstream issue and the condition for its
removal. Only this module, `_aiokafka_records.py` and `_aiokafka_static_member.py` may touch them:
tests/kafka/test_aiokafka_private.py enforces it.

The upper bound of aiokafka in pyproject.toml exists because of the three.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection, OAuthAuthenticator
from aiokafka.errors import SaslAuthenticationFailed
from aiokafka.protocol.commit import OffsetCommitRequest


async def force_close_consumer(consumer: AIOKafkaConsumer) -> None:
    """Close the connections of a consumer whose `stop()` failed, was cancelled or timed out.

    `stop()` waits for a JoinGroup, which waits for the group's slowest member; closing the
    connections ends both. It also leaves fetches running after an error of its coordinator.
    Upstream: https://github.com/aio-libs/aiokafka/issues/773 (stop() hangs),
    https://github.com/aio-libs/aiokafka/issues/647 (stop() raises CancelledError).
    Remove when `stop()` can be cancelled and then closes everything.
    """
    fetcher = consumer._fetcher
    if fetcher is not None:
        tasks = [fetcher._fetch_task, *fetcher._pending_tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    # A close that was interrupted while it waited for the connections has cancelled their futures.
    # Waiting for them again raises `CancelledError`, as if this task were cancelled.
    ended: list[object] = await asyncio.gather(consumer._client.close(), return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception):
            raise error


def observe_responses(consumer: AIOKafkaConsumer, observe: Callable[[Any, Any], None]) -> None:
    """Call `observe(request, response)` for every response to a consumer's request.

    aiokafka ignores `throttle_time_ms`, so that a quota looks like brokers that do not answer.
    No upstream issue found. Remove when the consumer reports it.
    """
    client = consumer._client
    send = client.send

    async def observed_send(node_id: int, request: Any, **options: Any) -> Any:
        response = await send(node_id, request, **options)
        observe(request, response)
        return response

    client.send = observed_send


async def fetch_partitions(client: AIOKafkaClient, topic: str) -> set[int]:
    """The topic's partitions, from the client's metadata or from a broker. Raises `KafkaError`.

    No upstream issue found. Remove when the client offers what `AIOKafkaProducer.partitions_for`
    calls.
    """
    partitions: set[int] = await client._wait_on_metadata(topic)
    return partitions


def group_member(consumer: AIOKafkaConsumer) -> tuple[int, str]:
    """Generation and member id; -1 and an empty string after the group removed this member.

    No upstream issue found. Remove when the consumer has Java's `groupMetadata()`.
    """
    coordinator = consumer._coordinator
    return coordinator.generation, coordinator.member_id


class MemberRemovedError(Exception):
    """Not a `KafkaError`: at these aiokafka gives up the coordinator, which is not at fault."""


def commit_only_as(consumer: AIOKafkaConsumer, member: Callable[[], tuple[int, str]]) -> None:
    """Let a commit raise `MemberRemovedError` if aiokafka is about to send it under another
    generation and member id than `member()`.

    It takes those of the moment, also when it repeats a commit. After the group has removed this
    member they are -1 and an empty string. A group without members accepts these, over offsets that
    an operator has reset.
    No upstream issue found. Remove when a commit keeps the member that it began under.
    """
    client = consumer._client
    send = client.send

    async def checked_send(node_id: int, request: Any, **options: Any) -> Any:
        if type(request) is OffsetCommitRequest:
            named = request._consumer_group_generation_id, request._consumer_id
            if named != member():
                raise MemberRemovedError("the group has removed this member")
        return await send(node_id, request, **options)

    client.send = checked_send


async def send_to_any_broker(owner: AIOKafkaAdminClient | AIOKafkaConsumer, request: Any) -> Any:
    """The response to a request that the owner of a client has no method for. Raises `KafkaError`.

    No upstream issue found. Remove when admin client and consumer can send any request, or can
    describe topics with their ids and authorized operations (KIP-516, KIP-430).
    """
    client = owner._client
    return await client.send(client.get_random_node(), request)


async def advertised_brokers(admin: AIOKafkaAdminClient) -> tuple[bool, list[tuple[str, int]]]:
    """Whether the client can connect to one broker of its metadata, and where these say they are.

    No upstream issue found. Remove when the admin client's `start` connects to a broker under its
    advertised address, or offers its cluster metadata.
    """
    client = admin._client
    ready: bool = await client.ready(client.get_random_node())
    return ready, [(broker.host, broker.port) for broker in client.cluster.brokers()]


class DiagnosticConnection(AIOKafkaConnection):  # type: ignore[misc]  # aiokafka is untyped
    """A single connection, whose `connect` raises what the client only logs.

    No upstream issue found. Remove when `AIOKafkaClient.bootstrap` raises the cause.
    """

    async def close_if_open(self) -> None:
        if self._protocol is not None:
            await self.close()


class CheckedOAuthAuthenticator(OAuthAuthenticator):  # type: ignore[misc]  # aiokafka is untyped
    """Raises `SaslAuthenticationFailed` if the broker rejects an OAUTHBEARER token; all clients
    use it (`connection.py`).

    aiokafka ignores the broker's response and takes the connection for a login. The broker answers
    the next request, often one for metadata, with an error and closes the connection. aiokafka
    reads this answer as a cluster without brokers.
    No upstream issue found. Remove when `OAuthAuthenticator.step` checks the response.
    """

    async def step(self, payload: bytes | None) -> tuple[bytes, bool] | None:
        # The response is empty if the broker accepts the token (RFC 7628, section 3.2.3).
        if payload:
            raise SaslAuthenticationFailed(f"the broker rejects the token: {_status(payload)}")
        message: tuple[bytes, bool] | None = await super().step(payload)
        return message


def _status(payload: bytes) -> str:
    """The `status` of a server's error response: a JSON object."""
    try:
        response: Any = json.loads(payload)
    except ValueError:
        return "its response is not JSON"
    return str(response.get("status", "")) if isinstance(response, dict) else ""
