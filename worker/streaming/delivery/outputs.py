"""The outputs of a batch in the order in which they are sent, and the records that they belong to.

A record may have several outputs, or none; the producers send outputs and know no records. Pure.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from worker.kafka.receipts import Receipt
from worker.kafka.records import OutputRecord
from worker.kafka.refusals import Refusal
from worker.streaming.delivery.base import ProcessedRecord, Refusals


@dataclass(frozen=True, slots=True)
class _Place:
    offset: int
    """Of the input record."""
    index: int
    """Of the output among those of its record."""


class BatchOutputs:
    """The outputs of the records of a batch."""

    def __init__(
        self,
        batch: Sequence[ProcessedRecord],
        is_sent: Callable[[int, OutputRecord], bool] = lambda *_: True,
    ) -> None:
        """Without those for which `is_sent(offset, output)` is false."""
        found = [
            (_Place(record.offset, index), output)
            for record in batch
            for index, output in enumerate(record.outputs)
            if is_sent(record.offset, output)
        ]
        self._records = {record.offset: record for record in batch}
        self._places = [place for place, _ in found]
        self.records = [output for _, output in found]

    def refused(self, refusals: Mapping[int, Refusal]) -> dict[int, Refusals]:
        """Offset of an input record to the refusals of its outputs. `refusals` maps the index of an
        output in `records` to why its topic refuses it.
        """
        by_offset: dict[int, dict[int, Refusal]] = defaultdict(dict)
        for number, why in refusals.items():
            place = self._places[number]
            by_offset[place.offset][place.index] = why
        return dict(by_offset)

    def acknowledged(self, receipts: Mapping[int, Receipt]) -> None:
        """Adds the receipts to their records. `receipts` maps the index of an output in `records`
        to its receipt.
        """
        for number, receipt in receipts.items():
            place = self._places[number]
            self._records[place.offset].receipts[place.index] = receipt

    def with_offsets(self, numbers: Collection[int]) -> list[tuple[int, OutputRecord]]:
        """The outputs with these indexes in `records`, each with the offset of its input record."""
        return [(self._places[number].offset, self.records[number]) for number in numbers]
