"""Rights on a broker with an authoriser: granted and taken away, as `kafka-acls` does it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest

from tests.security.secured import USER

_TOPIC, _GROUP, _CLUSTER, _TRANSACTIONAL_ID = 2, 3, 4, 5
_LITERAL, _PREFIXED = 3, 4
_READ, _WRITE, _CREATE, _DESCRIBE, _DESCRIBE_CONFIGS = 3, 4, 5, 8, 10
_ALLOW = 3


@dataclass(frozen=True, slots=True)
class Acl:
    """One right, of `USER` if not of somebody else."""

    kind: int
    name: str
    operation: int
    pattern: int = _LITERAL
    user: str = USER

    @property
    def fields(self) -> tuple[Any, ...]:
        whose = f"User:{self.user}"
        return self.kind, self.name, self.pattern, whose, "*", self.operation, _ALLOW

    def of(self, user: str) -> "Acl":
        return replace(self, user=user)


def read(topic: str) -> Acl:
    return Acl(_TOPIC, topic, _READ)


def write(topic: str) -> Acl:
    return Acl(_TOPIC, topic, _WRITE)


def create(topic: str) -> Acl:
    return Acl(_TOPIC, topic, _CREATE)


def describe(topic: str) -> Acl:
    return Acl(_TOPIC, topic, _DESCRIBE)


def describe_configs(topic: str) -> Acl:
    return Acl(_TOPIC, topic, _DESCRIBE_CONFIGS)


def read_group(group: str) -> Acl:
    return Acl(_GROUP, group, _READ)


def describe_group(group: str) -> Acl:
    return Acl(_GROUP, group, _DESCRIBE)


def write_transactions(prefix: str) -> Acl:
    return Acl(_TRANSACTIONAL_ID, prefix, _WRITE, _PREFIXED)


def write_transactional_id(name: str) -> Acl:
    return Acl(_TRANSACTIONAL_ID, name, _WRITE)


def describe_transactions(prefix: str) -> Acl:
    return Acl(_TRANSACTIONAL_ID, prefix, _DESCRIBE, _PREFIXED)


async def grant(servers: str, acls: Sequence[Acl]) -> None:
    """Returns once the broker knows of them."""
    await _change(servers, CreateAclsRequest, acls, there=True)


async def take_away(servers: str, *acls: Acl) -> None:
    """Returns once the broker knows it."""
    await _change(servers, DeleteAclsRequest, acls, there=False)


async def _change(servers: str, kind: type, acls: Sequence[Acl], *, there: bool) -> None:
    client = AIOKafkaClient(bootstrap_servers=servers)
    await client.bootstrap()
    try:
        node = client.get_random_node()
        for acl in acls:
            await client.send(node, kind(*acl.fields))
        async with asyncio.timeout(10):
            for acl in acls:
                while await _is_there(client, node, acl) is not there:  # noqa: ASYNC110 - the broker has no event
                    await asyncio.sleep(0.01)
    finally:
        await client.close()


async def _is_there(client: AIOKafkaClient, node: int, acl: Acl) -> bool:
    answer = await client.send(node, DescribeAclsRequest(*acl.fields))
    assert answer.error_code == 0
    return bool(answer.resources)
