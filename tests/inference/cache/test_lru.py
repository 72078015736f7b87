"""The cache's bound in bytes, and its order, against a model; and against the real memory."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from worker.inference.cache.lru import ENTRY_BYTES, LruCache

KEYS = st.sampled_from([bytes([n]) * 32 for n in range(6)])
PUT = st.tuples(KEYS, st.integers(0, 400))
GET = st.tuples(KEYS, st.none())


@given(st.integers(0, 1500), st.lists(PUT | GET))
def test_cache_keeps_what_was_used_last_within_its_bytes(
    max_bytes: int, steps: list[tuple[bytes, int | None]]
) -> None:
    cache = LruCache(max_bytes)
    model: list[tuple[bytes, bytes]] = []  # the most recently used last
    for key, length in steps:
        known = dict(model)
        if length is None:
            assert cache.get(key) == known.get(key)
            if key in known:
                model = [each for each in model if each[0] != key] + [(key, known[key])]
        elif length + ENTRY_BYTES <= max_bytes:
            evicted = 0
            model = [each for each in model if each[0] != key] + [(key, b"x" * length)]
            while sum(ENTRY_BYTES + len(value) for _, value in model) > max_bytes:
                model.pop(0)
                evicted += 1
            assert cache.put(key, b"x" * length) == evicted
        else:
            assert cache.put(key, b"x" * length) == 0
        assert cache.bytes == sum(ENTRY_BYTES + len(value) for _, value in model)
        assert cache.bytes <= max_bytes
        assert len(cache) == len(model)


def test_what_is_used_outlives_what_is_newer() -> None:
    cache = LruCache(2 * (ENTRY_BYTES + 1))
    for key in (b"a", b"b"):
        cache.put(key, b"x")
    cache.get(b"a")
    assert cache.put(b"c", b"x") == 1
    assert [cache.get(key) for key in (b"a", b"b", b"c")] == [b"x", None, b"x"]


def test_a_value_larger_than_the_cache_evicts_nothing() -> None:
    cache = LruCache(1000)
    cache.put(b"a" * 32, b"x")
    assert cache.put(b"b" * 32, b"x" * 1000) == 0
    assert cache.get(b"a" * 32) == b"x"


def test_memory_stays_within_the_bound() -> None:
    bound = 2**20
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        cache = LruCache(bound)
        for number in range(20_000):
            cache.put(number.to_bytes(32), number.to_bytes(150))
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert bound * 0.8 < cache.bytes <= bound
    assert used <= bound
