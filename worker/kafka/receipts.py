"""What a leader acknowledged of each record that was sent. Pure."""

import time
from collections.abc import Sequence
from typing import NamedTuple


class Receipt(NamedTuple):
    """A leader has taken a record. The times are those of the request that carried it, in
    nanoseconds since the epoch (`time.time_ns`).
    """

    partition: int
    offset: int | None
    """None if the leader had the record's batch already: then it does not say where."""
    began: int
    ended: int


def receipts(
    indexes: Sequence[int], partition: int, base_offset: int, began: int
) -> dict[int, Receipt]:
    """The receipts of a batch that was acknowledged now, by the records' `indexes`."""
    ended = time.time_ns()
    return {
        index: Receipt(partition, base_offset + n if base_offset >= 0 else None, began, ended)
        for n, index in enumerate(indexes)
    }
