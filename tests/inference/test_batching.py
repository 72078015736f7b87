"""Which windows run together: whatever comes in, in whatever order it is taken."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.examples import examples, shared
from worker.inference.batching import Batch, Batcher


@dataclass(frozen=True)
class Item:
    """Told apart by `serial`, in the order in which they came."""

    serial: int
    tokens: int
    since: float


class AnyOrder(RuleBasedStateMachine):
    """Windows come in and batches are taken, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Item] = []
        self.serial = 0
        self.now = 0.0

    @initialize(
        max_tokens=st.integers(1, 600),
        max_padding=st.sampled_from([0.0, 0.02, 0.1, 0.5, 0.99]),
        max_items=st.none() | st.integers(1, 5),
    )
    def begin(self, max_tokens: int, max_padding: float, max_items: int | None) -> None:
        self.max_tokens = max_tokens
        self.max_padding = max_padding
        self.max_items = max_items
        self.batcher: Batcher[Item] = Batcher(
            max_tokens=max_tokens, max_padding=max_padding, max_items=max_items
        )

    @rule(lengths=st.lists(st.integers(1, 512) | st.integers(100, 110), min_size=1, max_size=8))
    def add(self, lengths: list[int]) -> None:
        for tokens in lengths:
            item = Item(self.serial, tokens, self.now)
            self.batcher.add(item, tokens, self.now)
            self.waiting.append(item)
            self.serial += 1
            self.now += 1.0

    @precondition(lambda self: self.waiting)
    @rule()
    def take(self) -> None:
        batch = self.batcher.next_batch(self.now)
        assert batch is not None
        oldest = self.waiting[0]
        assert oldest in batch.items
        assert batch.oldest_wait == self.now - oldest.since
        for item in batch.items:
            self.waiting.remove(item)  # raises for what never waited or was taken before
        self._check_sums(batch)
        self._check_bounds(batch)
        self._check_full(batch)

    @precondition(lambda self: not self.waiting)
    @rule()
    def take_nothing(self) -> None:
        assert self.batcher.next_batch(self.now) is None

    @invariant()
    def as_long_as_what_waits(self) -> None:
        if hasattr(self, "batcher"):
            assert len(self.batcher) == len(self.waiting)

    def _check_sums(self, batch: Batch[Item]) -> None:
        lengths = [item.tokens for item in batch.items]
        assert lengths == sorted(lengths)
        assert batch.tokens == sum(lengths)
        assert batch.padded_tokens == max(lengths) * len(lengths)

    def _check_bounds(self, batch: Batch[Item]) -> None:
        if self.max_items is not None:
            assert len(batch.items) <= self.max_items
        if len(batch.items) > 1:
            assert self._fits([item.tokens for item in batch.items])

    def _check_full(self, batch: Batch[Item]) -> None:
        """Of what waits, the next in length on either side would not have fitted."""
        if len(batch.items) == self.max_items:
            return
        lengths = [item.tokens for item in batch.items]
        rest = [item.tokens for item in self.waiting]
        longer = [tokens for tokens in rest if tokens >= lengths[-1]]
        shorter = [tokens for tokens in rest if tokens <= lengths[0]]
        assert not longer or not self._fits([*lengths, min(longer)])
        assert not shorter or not self._fits([*lengths, max(shorter)])

    def _fits(self, lengths: list[int]) -> bool:
        padded = max(lengths) * len(lengths)
        return padded <= self.max_tokens and padded - sum(lengths) <= self.max_padding * padded


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=shared(50), stateful_step_count=30)


def batches(batcher: Batcher[str], *items: tuple[str, int]) -> list[list[str]]:
    """What is taken, batch by batch, when all of `items` wait."""
    for name, tokens in items:
        batcher.add(name, tokens, 0.0)
    taken = []
    while (batch := batcher.next_batch(1.0)) is not None:
        taken.append(batch.items)
    return taken


def test_windows_of_like_length_run_together() -> None:
    batcher: Batcher[str] = Batcher(max_tokens=400, max_padding=0.05)
    items = [("long", 200), ("short", 50), ("long too", 198), ("short too", 49)]
    assert batches(batcher, *items) == [["long too", "long"], ["short too", "short"]]


def test_the_nearest_in_length_go_first() -> None:
    batcher: Batcher[str] = Batcher(max_tokens=202, max_padding=0.9)
    taken = batches(batcher, ("oldest", 100), ("far", 60), ("near", 101))
    assert taken == [["oldest", "near"], ["far"]]


def test_the_oldest_goes_first_though_others_would_fill_a_batch_better() -> None:
    batcher: Batcher[str] = Batcher(max_tokens=100, max_padding=0.0)
    taken = batches(batcher, ("odd", 33), *((f"even {n}", 10) for n in range(10)))
    assert taken[0] == ["odd"]


def test_a_window_above_the_budget_runs_alone() -> None:
    batcher: Batcher[str] = Batcher(max_tokens=100, max_padding=0.9)
    assert batches(batcher, ("huge", 101), ("small", 1), ("huge too", 101)) == [
        ["huge"],
        ["small"],
        ["huge too"],
    ]


def test_the_budget_is_of_padded_tokens() -> None:
    batcher: Batcher[str] = Batcher(max_tokens=300, max_padding=0.9)
    # 100 + 60 + 60 + 60 are 280 tokens, but 400 with padding.
    taken = batches(batcher, ("a", 100), ("b", 60), ("c", 60), ("d", 60))
    assert [len(batch) for batch in taken] == [3, 1]


def test_equal_lengths_need_no_padding() -> None:
    batcher: Batcher[str] = Batcher(max_tokens=100, max_padding=0.0)
    names = [str(n) for n in range(12)]
    assert batches(batcher, *((name, 20) for name in names)) == [
        names[:5],
        names[5:10],
        names[10:],
    ]


def test_one_window_a_run_goes_by_age() -> None:
    batcher: Batcher[str] = Batcher(max_tokens=1000, max_padding=0.9, max_items=1)
    taken = batches(batcher, ("a", 9), ("b", 3), ("c", 9), ("d", 1))
    assert taken == [["a"], ["b"], ["c"], ["d"]]


@given(st.lists(st.integers(1, 3), min_size=1, max_size=40), st.integers(1, 40))
@examples(100)
def test_of_windows_as_long_as_the_oldest_the_older_go_first(
    lengths: list[int], budget: int
) -> None:
    batcher: Batcher[int] = Batcher(max_tokens=budget, max_padding=0.0)
    for serial, tokens in enumerate(lengths):
        batcher.add(serial, tokens, float(serial))
    taken: list[int] = []
    while (batch := batcher.next_batch(0.0)) is not None:
        taken += batch.items
    for length in set(lengths):
        serials = [serial for serial in taken if lengths[serial] == length]
        assert serials == sorted(serials)
