"""Two ways to take exactly-once delivery apart, to see that the checker notices.

What is replaced is named here; a name that is gone from the worker fails at once.
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


def commit() -> None:
    """What this process's environment asks for, if anything. Raises `KeyError` for the unknown."""
    if SABOTAGE in os.environ:
        SABOTAGES[os.environ[SABOTAGE]]()


def _no_fence() -> None:
    """Every assignment takes a transactional id of its own, so it shuts nobody out."""

    def alone(*_: Any) -> str:
        return uuid.uuid4().hex

    _replace(f"{_DELIVERY}:transactional_id", alone)


def _no_offsets() -> None:
    """Offsets are committed by the consumer, right after the transaction instead of within it."""
    commit = _replace(_COMMIT, None)
    deliver = _replace(f"{_FENCED}.deliver", None)

    async def commit_records(self: Any, records: Sequence[Any], *_: Any) -> None:
        await commit(self, records)

    async def deliver_then_commit(self: Any, batch: Sequence[Any]) -> AsyncIterator[Any]:
        async for processed in deliver(self, batch):
            yield processed
        offsets = {self._partition: self._tracker.committed}
        await self._consumer.commit(offsets, seconds=_COMMIT_SECONDS)

    _replace(_COMMIT, commit_records)
    _replace(f"{_FENCED}.deliver", deliver_then_commit)


def _replace(target: str, replacement: Any) -> Any:
    """What was there before."""
    owner, name = find(target)
    before = getattr(owner, name)
    setattr(owner, name, replacement)
    return before


SABOTAGES: dict[str, Callable[[], None]] = {"no_fence": _no_fence, "no_offsets": _no_offsets}
