"""Reads the fields of a record of format 2 (varints, lengths, bytes). Pure.

The format: https://kafka.apache.org/documentation/#record
"""


class FieldReader:
    """Reads fields one after the other. Its methods raise `ValueError` at the first bad one."""

    def __init__(self, data: memoryview, at: int = 0) -> None:
        self._data = data
        self._at = at

    @property
    def at_end(self) -> bool:
        return self._at == len(self._data)

    def varint(self) -> int:
        """A zigzag varint of at most 64 bits."""
        number = shift = 0
        while True:
            if self._at >= len(self._data):
                raise ValueError("ends inside a number")
            byte = self._data[self._at]
            self._at += 1
            number |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return (number >> 1) ^ -(number & 1)
            shift += 7
            if shift > 63:
                raise ValueError("has a number of more than 64 bits")

    def count(self) -> int:
        number = self.varint()
        if number < 0:
            raise ValueError(f"states {number} headers")
        return number

    def take(self, size: int) -> memoryview:
        if not 0 <= size <= len(self._data) - self._at:
            left = len(self._data) - self._at
            raise ValueError(f"states a length of {size} where {left} bytes are left")
        self._at += size
        return self._data[self._at - size : self._at]

    def bytes(self) -> bytes | None:
        """NULLABLE_BYTES."""
        size = self.varint()
        return None if size < 0 else bytes(self.take(size))
