"""Rights on a broker with an authoriser: granted and taken away, as `kafka-acls` does it."""

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
    """One right, of `USER` if not of somebody else."""

    kind: int
    name: str
    operation: int
    pattern: int
    user: str = USER

    @property
    def fields(self) -> tuple[Any, ...]:
        whose = f"User:{self.user}"
        return self.kind, self.name, self.pattern, whose, "*", self.operation, _ALLOW

    @property
    def described(self) -> "Acl":
        """The right to see the same, and nothing more."""
        return replace(self, operation=_OPERATIONS["Describe"])

    @property
    def said(self) -> str:
        """As the worker names it where it is missing."""
        (kind,) = [option for option, kind in _KINDS.items() if kind == self.kind]
        (operation,) = [name for name, number in _OPERATIONS.items() if number == self.operation]
        what = kind.removeprefix("--").replace("-", " ")
        begins = "s that begin with" if self.pattern == _PREFIXED else ""
        return f"{operation.upper()} on {what}{begins} {self.name}"

    def of(self, user: str) -> "Acl":
        return replace(self, user=user)


def acl(kind: str, name: str, operation: str, *, prefixed: bool = False) -> Acl:
    """By the words of `kafka-acls`: `--topic` and the like, `Read` and the like."""
    pattern = _PREFIXED if prefixed else _LITERAL
    return Acl(_KINDS[kind], name, _OPERATIONS[operation], pattern)


async def grant(servers: str, *acls: Acl) -> None:
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
        for each in acls:
            await client.send(node, kind(*each.fields))
        async with asyncio.timeout(10):
            # The broker learns of them in their order, and has no event for it.
            while await _is_there(client, node, acls[-1]) is not there:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        await client.close()


async def _is_there(client: AIOKafkaClient, node: int, each: Acl) -> bool:
    answer = await client.send(node, DescribeAclsRequest(*each.fields))
    assert answer.error_code == 0
    return bool(answer.resources)
