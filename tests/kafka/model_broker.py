"""A model of Kafka's side of transactions: one input partition, its coordinators, and the output
topics. It has epochs, sequence numbers, open and ending transactions; it has no network.

Its error codes are those that Kafka 4 returns (tests/brokers/test_contract_transactions.py compares
them), or that Kafka's source returns.
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
    """State of the transactional id's transaction."""

    EMPTY = "empty"
    OPEN = "open"
    COMMITTING = "committing"
    ABORTING = "aborting"
    COMMITTED = "committed"


@dataclass
class ModelBroker:
    """`answer` requests; `end` an ending transaction; `expire` an open one."""

    epoch: int = -1
    stage: Stage = Stage.EMPTY
    partitions: set[Place] = field(default_factory=set)
    has_group: bool = False
    written: list[tuple[Place, bytes]] = field(default_factory=list)
    """Records of the open or ending transaction."""
    pending_offset: int | None = None
    sequences: dict[Place, int] = field(default_factory=dict)
    """The next sequence number of each partition in this epoch."""
    committed: list[tuple[Place, bytes]] = field(default_factory=list)
    """The records that a read_committed consumer sees."""
    offset: int | None = None
    uncommitted: int = 0
    """Number of records of aborted transactions."""

    def answer(self, request: Any) -> Any:
        """The response to an aiokafka request, with the fields of its classes."""
        struct = request.build(type(request)._CLASSES[-1])
        return getattr(self, f"_{type(request).__name__}")(struct)

    def end(self) -> bool:
        """Write the markers of an ending transaction. Returns False if there is none."""
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
        """The coordinator aborts an open transaction that timed out, under a new epoch."""
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
        ((topic, ((number, offset, *_),), _),) = asked.topics
        code = OK
        if asked.producer_epoch != self.epoch:
            code = FENCED
        elif self.stage is not Stage.OPEN or not self.has_group:
            code = BAD_STATE
        else:
            self.pending_offset = offset
        return SimpleNamespace(errors=[(topic, [(number, code)])])

    def _EndTxnRequest(self, asked: Any) -> Any:  # noqa: N802
        assert asked.transaction_result, "the producer aborts by fencing only"
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
            API_VERSION=7,
            topics=[(topic, [(number, offset, -1, "", code, {})], {})],
            error_code=OK,
        )
