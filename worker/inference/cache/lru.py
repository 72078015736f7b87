"""LRU cache that is bounded by bytes. Pure.

`cachetools.LRUCache` has the same policy, but keeps three dictionaries: an entry takes up to 444
bytes there beside its key and its value, and 189 here (Python 3.11, cachetools 8.0). An answer with
one span takes about 250.
"""

from collections import OrderedDict

ENTRY_BYTES = 288
"""Memory of an entry beside the bytes of its value: the key of 32 bytes (65), the value's header
(33), and its part of the dictionary and of its room to grow (up to 189)."""


class LruCache:
    """Values by their keys. Those that were not used for the longest time leave first.

    Not thread-safe.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._values: OrderedDict[bytes, bytes] = OrderedDict()
        self.bytes = 0
        """Memory of all entries; at most `max_bytes`."""

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: bytes) -> bytes | None:
        """The value, which is then the most recently used, or None."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: bytes, value: bytes) -> int:
        """Keep the value, unless it alone exceeds the bound. Returns the number of evictions."""
        size = ENTRY_BYTES + len(value)
        if size > self._max_bytes:
            return 0
        replaced = self._values.pop(key, None)
        if replaced is not None:
            self.bytes -= ENTRY_BYTES + len(replaced)
        evicted = 0
        while self.bytes + size > self._max_bytes:
            _, oldest = self._values.popitem(last=False)
            self.bytes -= ENTRY_BYTES + len(oldest)
            evicted += 1
        self._values[key] = value
        self.bytes += size
        return evicted
