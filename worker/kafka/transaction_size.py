"""How large the next transaction may be, so that it ends before its timeout. Pure."""

LARGEST_BYTES = 1024 * 1024
"""16 requests of 64 KiB end well within a transaction's timeout on any network without a quota."""

FIRST_BYTES = 64 * 1024
"""One batch: with a quota, the first transactions are not aborted for their size."""

SMALLEST_BYTES = 1024
"""About one answer; a single record is always a transaction."""


class TransactionSize:
    """Adapts a partition's transactions to the rate at which the brokers take its records.

    An aborted transaction halves the limit, and so does one after which the brokers throttle its
    connections for more than half of the timeout. One that used at least half of the limit and
    needed less than half of the timeout, throttle included, doubles it: twice as large it still
    ends in time. A slow transaction of few bytes therefore does not keep the limit small.
    """

    def __init__(self, timeout_seconds: float) -> None:
        """`timeout_seconds`: after this time the coordinator aborts a transaction."""
        self._timeout = timeout_seconds
        self._limit = FIRST_BYTES

    @property
    def limit(self) -> int:
        """Bytes of records in the next transaction; a single record may exceed them."""
        return self._limit

    def committed(self, size: int, seconds: float, throttled: float) -> None:
        """A transaction of `size` bytes took `seconds`; after it the brokers throttle its
        connections for `throttled` seconds.
        """
        if throttled > self._timeout / 2:
            self.aborted()
        elif size >= self._limit / 2 and seconds + throttled < self._timeout / 2:
            self._limit = min(LARGEST_BYTES, 2 * self._limit)

    def aborted(self) -> None:
        """A transaction was aborted because it did not end in time."""
        self._limit = max(SMALLEST_BYTES, self._limit // 2)
