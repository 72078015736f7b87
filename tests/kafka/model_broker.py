"""Kafka's side of a transaction, as a model: one input partition, its coordinators, the topics of
its outcomes. Knows epochs, sequence numbers, open and ending transactions; nothing of networks.

What it refuses, and with which code, is what Kafka 4 was seen to answer (see the contract in
tests/brokers/test_contract_transactions.py) or says in its own source.
"""

from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace
from typing import Any

from aiokafka.record.default_records import DefaultRecordBatch

OK, OUT_OF_ORDER, DUPLICATE, FENCED, BAD_STATE, CONCURRENT = 0, 45, 46, 47, 48, 51
UNSTABLE = 88

Place = tuple[str, int]


class Stage(Enum):
    """Of the transaction under the id."""

    EMPTY = "empty"
    OPEN = "open"
    COMMITTING = "committing"
    ABORTING = "aborting"
    COMMITTED = "committed"


@dataclass
class ModelBroker:
    """`answer` a request; `end` what is ending; `expire` what is open for too long."""

    epoch: int = -1
    stage: Stage = Stage.EMPTY
    partitions: set[Place] = field(default_factory=set)
    has_group: bool = False
    written: list[tuple[Place, bytes]] = field(default_factory=list)
    """Records of the transaction that has not ended."""
    pending_offset: int | None = None
    sequences: dict[Place, int] = field(default_factory=dict)
    """Next of this epoch."""
    committed: list[tuple[Place, bytes]] = field(default_factory=list)
    """What a consumer that reads committed sees."""
    offset: int | None = None
    uncommitted: int = 0
    """Records that were written in vain."""

    def answer(self, request: Any) -> Any:
        """The response to a request of aiokafka's, in the shape of its classes."""
        struct = request.build(type(request)._CLASSES[-1])
        return getattr(self, f"_{type(request).__name__}")(struct)

    def end(self) -> bool:
        """Write the markers of a transaction whose end is decided. False if there is none."""
        if self.stage is Stage.COMMITTING:
            self.committed += self.written
            self.offset = self.offset if self.pending_offset is None else self.pending_offset
            self.stage = Stage.COMMITTED
        elif self.stage is Stage.ABORTING:
            self.uncommitted += len(self.written)
            self.stage = Stage.EMPTY
        else:
            return False
        self.partitions.clear()
        self.has_group = False
        self.written.clear()
        self.pending_offset = None
        return True

    def expire(self) -> None:
        """The coordinator gives up on an open transaction: a new epoch, and it is aborted."""
        if self.stage is Stage.OPEN:
            self._new_epoch()
            self.stage = Stage.ABORTING

    def _new_epoch(self) -> None:
        self.epoch += 1
        self.sequences.clear()

    def _InitProducerIdRequest(self, _: Any) -> Any:  # noqa: N802
        if self.stage is Stage.OPEN:
            self.expire()
        if self.stage in (Stage.COMMITTING, Stage.ABORTING):
            return SimpleNamespace(error_code=CONCURRENT)
        self._new_epoch()
        self.stage = Stage.EMPTY
        return SimpleNamespace(error_code=OK, producer_id=7, producer_epoch=self.epoch)

    def _AddPartitionsToTxnRequest(self, asked: Any) -> Any:  # noqa: N802
        code = self._open(asked)
        if code == OK:
            self.partitions |= {(topic, n) for topic, numbers in asked.topics for n in numbers}
        errors = [(topic, [(n, code) for n in numbers]) for topic, numbers in asked.topics]
        return SimpleNamespace(errors=errors)

    def _AddOffsetsToTxnRequest(self, asked: Any) -> Any:  # noqa: N802
        code = self._open(asked)
        self.has_group = self.has_group or code == OK
        return SimpleNamespace(error_code=code)

    def _open(self, asked: Any) -> int:
        if asked.producer_epoch != self.epoch:
            return FENCED
        if self.stage in (Stage.COMMITTING, Stage.ABORTING):
            return CONCURRENT
        self.stage = Stage.OPEN
        return OK

    def _ProduceRequest(self, asked: Any) -> Any:  # noqa: N802
        ((topic, ((number, data),)),) = asked.topics
        batch = DefaultRecordBatch(data)
        place = (topic, number)
        code = self._produce(place, batch)
        return SimpleNamespace(topics=[(topic, [(number, code, 0, -1)])])

    def _produce(self, place: Place, batch: Any) -> int:
        if batch.producer_epoch != self.epoch:
            return FENCED
        records = [(place, bytes(record.value)) for record in batch]
        expected = self.sequences.get(place, 0)
        if batch.base_sequence + len(records) == expected:
            return DUPLICATE
        if self.stage is not Stage.OPEN or place not in self.partitions:
            return BAD_STATE
        if batch.base_sequence != expected:
            return OUT_OF_ORDER
        self.written += records
        self.sequences[place] = expected + len(records)
        return OK

    def _TxnOffsetCommitRequest(self, asked: Any) -> Any:  # noqa: N802
        ((topic, ((number, offset, _),)),) = asked.topics
        code = OK
        if asked.producer_epoch != self.epoch:
            code = FENCED
        elif self.stage is not Stage.OPEN or not self.has_group:
            code = BAD_STATE
        else:
            self.pending_offset = offset
        return SimpleNamespace(errors=[(topic, [(number, code)])])

    def _EndTxnRequest(self, asked: Any) -> Any:  # noqa: N802
        assert asked.transaction_result, "nobody here aborts: a fence does"
        code = OK
        if asked.producer_epoch != self.epoch:
            code = FENCED
        elif self.stage is Stage.OPEN:
            self.stage = Stage.COMMITTING
        elif self.stage is Stage.COMMITTING:
            code = CONCURRENT
        elif self.stage is not Stage.COMMITTED:
            code = BAD_STATE
        return SimpleNamespace(error_code=code)

    def _StableOffsetFetchRequest(self, asked: Any) -> Any:  # noqa: N802
        ((topic, (number,), _),) = asked.topics
        code = OK if self.pending_offset is None else UNSTABLE
        offset = -1 if self.offset is None else self.offset
        return SimpleNamespace(
            topics=[(topic, [(number, offset, -1, "", code, {})], {})], error_code=OK
        )
