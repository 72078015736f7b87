"""The circuit breaker: a worker that rejects nearly everything stops, instead of emptying the topic
into the dead letters. Pure: it counts outcomes and knows no clock.

Outcomes are counted in the order in which they are published. In the order in which they come
about, rejections, which are quick, would outrun their neighbours' answers and seem more than they
are.
"""

from collections import Counter, deque

from schemas.rejection import Reason
from worker.kafka.errors import StreamingError
from worker.observability import metrics


class DeadLetterLimit:
    """One for the worker's life: it outlives sessions, and partitions share it."""

    def __init__(self, *, records: int, ratio: float) -> None:
        """Trips where more than `ratio` of the last `records` outcomes are rejections; 0 records:
        never.
        """
        self._records = records
        self._ratio = ratio
        self._last: deque[Reason | None] = deque()
        self._rejected: Counter[Reason] = Counter()  # of them, by reason

    def count(self, reason: Reason | None) -> None:
        """The next outcome is about to be published: a dead letter for `reason`, or an answer.

        Raises `StreamingError` where that would be one dead letter too many. Only a rejection
        trips it, and until answers have made up for it every further one does.
        """
        if not self._records:
            return
        if len(self._last) == self._records and (oldest := self._last.popleft()) is not None:
            self._rejected[oldest] -= 1
        self._last.append(reason)
        if reason is not None:
            self._rejected[reason] += 1
        rejected = self._rejected.total()
        # A quotient, not a product: 29 of 100 is 0.29, but 0.29 * 100 is less than 29.
        share = rejected / self._records
        metrics.REJECTED_SHARE.set(share)
        if reason is not None and len(self._last) == self._records and share > self._ratio:
            often, count = self._rejected.most_common(1)[0]
            raise StreamingError(
                f"{rejected} of the last {self._records} records were rejected, {count} of them as "
                f"{often}; what is left stays in the topic. Put right what is wrong with questions "
                f"or settings, or see QA_DEAD_LETTER_LIMIT_RECORDS ({self._records}; 0: never "
                f"stop) and QA_DEAD_LETTER_LIMIT_RATIO ({self._ratio:g})"
            )
