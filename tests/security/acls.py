"""Creates and deletes ACLs on a broker, as `kafka-acls` does."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest

from tests.security.secure_broker import USER

_RESOURCE_TYPES = {"--topic": 2, "--group": 3, "--cluster": 4, "--transactional-id": 5}
_OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10}
_LITERAL, _PREFIXED = 3, 4
_ALLOW = 3


@dataclass(frozen=True, slots=True)
class Acl:
    """One ACL that allows an operation to `user`. The numbers are those of Kafka's protocol."""

    resource_type: int
    name: str
    operation: int
    pattern_type: int
    user: str = USER

    @property
    def fields(self) -> tuple[Any, ...]:
        """The fields of the requests that create, delete and describe ACLs."""
        principal = f"User:{self.user}"
        resource = self.resource_type, self.name, self.pattern_type
        return *resource, principal, "*", self.operation, _ALLOW

    @property
    def describe_only(self) -> "Acl":
        """The ACL to describe the same resource."""
        return replace(self, operation=_OPERATIONS["Describe"])

    @property
    def text(self) -> str:
        """The ACL's description in the worker's error if it is missing."""
        (option,) = [name for name, n in _RESOURCE_TYPES.items() if n == self.resource_type]
        (operation,) = [name for name, n in _OPERATIONS.items() if n == self.operation]
        resource = option.removeprefix("--").replace("-", " ")
        prefix = "s that begin with" if self.pattern_type == _PREFIXED else ""
        return f"{operation.upper()} on {resource}{prefix} {self.name}"

    def for_user(self, user: str) -> "Acl":
        """Returns the same ACL for another user."""
        return replace(self, user=user)


def acl(resource_option: str, name: str, operation: str, *, prefixed: bool = False) -> Acl:
    """Returns an ACL from options of `kafka-acls`, such as `--topic` and `Read`."""
    pattern_type = _PREFIXED if prefixed else _LITERAL
    return Acl(_RESOURCE_TYPES[resource_option], name, _OPERATIONS[operation], pattern_type)


async def grant(servers: str, *acls: Acl) -> None:
    """Creates the ACLs and waits until the broker has applied them."""
    await _change(servers, CreateAclsRequest, acls, exists=True)


async def revoke(servers: str, *acls: Acl) -> None:
    """Deletes the ACLs and waits until the broker has applied the deletion."""
    await _change(servers, DeleteAclsRequest, acls, exists=False)


async def _change(servers: str, request: type, acls: Sequence[Acl], *, exists: bool) -> None:
    client = AIOKafkaClient(bootstrap_servers=servers)
    await client.bootstrap()
    try:
        node = client.get_random_node()
        for acl in acls:
            await client.send(node, request(*acl.fields))
        async with asyncio.timeout(10):
            # Brokers apply changes in order, and send no event when they have.
            while await _exists(client, node, acls[-1]) is not exists:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        await client.close()


async def _exists(client: AIOKafkaClient, node: int, acl: Acl) -> bool:
    response = await client.send(node, DescribeAclsRequest(*acl.fields))
    assert response.error_code == 0
    return bool(response.resources)
