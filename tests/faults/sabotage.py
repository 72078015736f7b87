"""Two ways to break exactly-once delivery; the checker must report both.

This module names the functions that it replaces. A name that does not exist fails immediately.
"""

import os
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from tests.faults.patching import find

SABOTAGE = "FAULTS_SABOTAGE"

_COMMIT = "worker.kafka.transactions:TransactionalProducer.commit"
_DELIVERY = "worker.streaming.delivery.exactly_once"
_FENCED = f"{_DELIVERY}:ExactlyOncePartition"

_COMMIT_SECONDS = 5.0


def install() -> None:
    """Install the sabotage that the environment names, if any. Raises `KeyError` if unknown."""
    if SABOTAGE in os.environ:
        SABOTAGES[os.environ[SABOTAGE]]()


def _no_fence() -> None:
    """Every assignment has its own transactional id, so it fences no other owner, and the
    coordinator does not check that the committing worker is still a member of the group.
    """

    def unique_id(*_: Any) -> str:
        return uuid.uuid4().hex

    _replace(f"{_DELIVERY}:transactional_id", unique_id)
    _replace("worker.kafka.consumer:GroupConsumer.member", property(lambda _: (-1, "")))


def _no_offsets() -> None:
    """The consumer commits offsets after the transaction instead of in it."""
    commit = _replace(_COMMIT, None)
    deliver = _replace(f"{_FENCED}.deliver", None)

    async def commit_records(self: Any, records: Sequence[Any], *_: Any) -> Any:
        return await commit(self, records)

    async def deliver_then_commit(self: Any, batch: Sequence[Any]) -> AsyncIterator[Any]:
        async for processed in deliver(self, batch):
            yield processed
        offsets = {self._partition: self._tracker.committed}
        await self._consumer.commit(offsets, seconds=_COMMIT_SECONDS)

    _replace(_COMMIT, commit_records)
    _replace(f"{_FENCED}.deliver", deliver_then_commit)


def _replace(target: str, replacement: Any) -> Any:
    """Returns what `target` was before."""
    owner, name = find(target)
    before = getattr(owner, name)
    setattr(owner, name, replacement)
    return before


SABOTAGES: dict[str, Callable[[], None]] = {"no_fence": _no_fence, "no_offsets": _no_offsets}
