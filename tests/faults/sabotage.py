"""Two ways to take exactly-once delivery apart, to see that the checker notices.

Both in the client library, beneath the worker: what it asks for is not what happens.
"""

import os
import uuid
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

SABOTAGE = "FAULTS_SABOTAGE"


def commit() -> None:
    """What this process's environment asks for, if anything. Raises `KeyError` for the unknown."""
    if SABOTAGE in os.environ:
        SABOTAGES[os.environ[SABOTAGE]]()


def _no_fence() -> None:
    """Every producer gets a transactional id of its own, so none fences the one before it."""
    original = AIOKafkaProducer.__init__

    def init(self: Any, *args: Any, transactional_id: str, **kwargs: Any) -> None:
        # Without one it fails: a worker that does not name it is not to be tried this way.
        own = f"{transactional_id}-{uuid.uuid4().hex}"
        original(self, *args, transactional_id=own, **kwargs)

    AIOKafkaProducer.__init__ = init


def _no_offsets() -> None:
    """Offsets are committed beside the transaction, right after its end, instead of within it."""
    consumers: list[Any] = []
    original_init = AIOKafkaConsumer.__init__
    original_commit = AIOKafkaProducer.commit_transaction
    held: dict[Any, dict[Any, Any]] = {}

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original_init(self, *args, **kwargs)
        consumers[:] = [self]

    async def hold(self: Any, offsets: dict[Any, Any], group_id: str) -> None:
        held[self] = offsets

    async def commit_transaction(self: Any) -> None:
        await original_commit(self)
        if offsets := held.pop(self, None):
            await consumers[0].commit(offsets)

    AIOKafkaConsumer.__init__ = init
    AIOKafkaProducer.send_offsets_to_transaction = hold
    AIOKafkaProducer.commit_transaction = commit_transaction


SABOTAGES: dict[str, Callable[[], None]] = {"no_fence": _no_fence, "no_offsets": _no_offsets}
