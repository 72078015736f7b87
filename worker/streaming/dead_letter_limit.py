"""Stops a worker that rejects nearly everything, instead of moving a whole topic to the dead-letter
topic. Pure: it counts outcomes and knows no clock.

Outcomes count once they are delivered, in the order of their delivery. In the order of processing,
rejections, which are quick, would overtake their neighbours' answers and seem more frequent.
"""

from collections import Counter, deque
from collections.abc import Sequence
from itertools import chain

from schemas.rejection import Reason, is_replay
from worker.kafka.errors import StreamingError
from worker.kafka.records import InputRecord
from worker.observability import metrics
from worker.streaming.delivery.base import ProcessedRecord

Outcomes = Sequence[Reason | None]
"""A dead letter's reason, or None for an answer."""


class DeadLetterLimit:
    """One for the worker's life: it outlives sessions, and all partitions share it."""

    def __init__(self, *, records: int, ratio: float) -> None:
        """At most the share `ratio` of the last `records` outcomes may be rejections. With
        `records` 0 there is no limit.
        """
        self._records = records
        self._ratio = ratio
        self._last: deque[Reason | None] = deque()
        self._rejected = 0  # of `_last`

    def check(self, outcomes: Outcomes) -> tuple[int, StreamingError | None]:
        """How many of `outcomes` may be delivered, from the first on, and the error that stops the
        worker before the next one, if any. Counts nothing: a delivery may fail and be repeated.

        Only a rejection exceeds the limit; each further one does until answers outweigh them.
        """
        if not self._records:
            return len(outcomes), None
        size, rejected = len(self._last), self._rejected
        oldest = chain(self._last, outcomes)
        for number, reason in enumerate(outcomes):
            if size == self._records:
                rejected -= next(oldest) is not None
            else:
                size += 1
            rejected += reason is not None
            # A quotient, not a product: 29 of 100 is 0.29, but 0.29 * 100 is less than 29.
            if reason and size == self._records and rejected / size > self._ratio:
                return number, self._error([*self._last, *outcomes[: number + 1]][-size:])
        return len(outcomes), None

    def count(self, outcome: Reason | None) -> None:
        """An outcome was delivered."""
        if not self._records:
            return
        if len(self._last) == self._records:
            self._rejected -= self._last.popleft() is not None
        self._last.append(outcome)
        self._rejected += outcome is not None
        metrics.REJECTION_RATIO.set(self._rejected / self._records)

    def _error(self, last: Outcomes) -> StreamingError:
        rejected = Counter(reason for reason in last if reason is not None)
        reason, count = rejected.most_common(1)[0]
        return StreamingError(
            f"{rejected.total()} of the last {self._records} records were rejected, {count} of "
            f"them as {reason}; the remaining records stay in the topic. Correct the questions or "
            f"the settings, or see QA_DEAD_LETTER_LIMIT_RECORDS ({self._records}; 0: no limit) and "
            f"QA_DEAD_LETTER_LIMIT_RATIO ({self._ratio:g})"
        )


def counts(record: InputRecord, processed: ProcessedRecord) -> bool:
    """Whether the record counts for the dead-letter limit. A replayed question that is rejected
    again returns to the dead-letter topic: that says nothing about the questions topic. Nor does an
    expired question: after an outage, all of them may have expired. Nor one whose reply topic does
    not exist: a client that has left may have sent many. Nor one out of the sample.
    """
    if processed.out_of_sample:
        return False
    of_the_question = processed.reason not in (Reason.EXPIRED, Reason.REPLY_UNKNOWN)
    return of_the_question and not is_replay(record.headers)
