"""Creates and deletes ACLs on a broker with an authorizer, as `kafka-acls` does."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest

from tests.security.secured import USER

_KINDS = {"--topic": 2, "--group": 3, "--cluster": 4, "--transactional-id": 5}
_OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10}
_LITERAL, _PREFIXED = 3, 4
_ALLOW = 3


@dataclass(frozen=True, slots=True)
class Acl:
    """One ACL that allows an operation to `user`."""

    kind: int
    name: str
    operation: int
    pattern: int
    user: str = USER

    @property
    def fields(self) -> tuple[Any, ...]:
        principal = f"User:{self.user}"
        return self.kind, self.name, self.pattern, principal, "*", self.operation, _ALLOW

    @property
    def describe_only(self) -> "Acl":
        """The ACL to describe the same resource."""
        return replace(self, operation=_OPERATIONS["Describe"])

    @property
    def text(self) -> str:
        """As the worker names it if it is missing."""
        (kind,) = [option for option, kind in _KINDS.items() if kind == self.kind]
        (operation,) = [name for name, number in _OPERATIONS.items() if number == self.operation]
        resource = kind.removeprefix("--").replace("-", " ")
        prefix = "s that begin with" if self.pattern == _PREFIXED else ""
        return f"{operation.upper()} on {resource}{prefix} {self.name}"

    def for_user(self, user: str) -> "Acl":
        return replace(self, user=user)


def acl(kind: str, name: str, operation: str, *, prefixed: bool = False) -> Acl:
    """From the options of `kafka-acls`: `--topic` and others, `Read` and others."""
    pattern = _PREFIXED if prefixed else _LITERAL
    return Acl(_KINDS[kind], name, _OPERATIONS[operation], pattern)


async def grant(servers: str, *acls: Acl) -> None:
    """Create the ACLs; returns once the broker has applied them."""
    await _change(servers, CreateAclsRequest, acls, exists=True)


async def revoke(servers: str, *acls: Acl) -> None:
    """Delete the ACLs; returns once the broker has applied that."""
    await _change(servers, DeleteAclsRequest, acls, exists=False)


async def _change(servers: str, kind: type, acls: Sequence[Acl], *, exists: bool) -> None:
    client = AIOKafkaClient(bootstrap_servers=servers)
    await client.bootstrap()
    try:
        node = client.get_random_node()
        for each in acls:
            await client.send(node, kind(*each.fields))
        async with asyncio.timeout(10):
            # The broker applies them in order and has no event for it.
            while await _exists(client, node, acls[-1]) is not exists:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        await client.close()


async def _exists(client: AIOKafkaClient, node: int, each: Acl) -> bool:
    response = await client.send(node, DescribeAclsRequest(*each.fields))
    assert response.error_code == 0
    return bool(response.resources)
