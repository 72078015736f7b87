"""Which events a sample contains: chosen by a hash of the event's id, the same in every program."""

from hashlib import sha256

_NUMBERS = 2.0**64
"""How many numbers eight bytes have. Multiplying a share by a power of two rounds nothing."""


def in_sample(event_id: str, share: float) -> bool:
    """Whether the sample of `share` of the events (above 0, at most 1) contains this one.

    It does if the first 8 bytes of the SHA-256 of the id in UTF-8, read as an unsigned integer with
    the most significant byte first, are less than `share` times 2**64. So every worker, and every
    other program, chooses the same events, and a larger sample contains each smaller one.
    """
    if share >= 1.0:
        return True
    number = int.from_bytes(sha256(event_id.encode()).digest()[:8], "big")
    return number < share * _NUMBERS
