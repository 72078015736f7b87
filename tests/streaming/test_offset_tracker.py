"""The ledger: whatever is taken and finished in whatever order, safe is never too far."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from worker.streaming.offset_tracker import OffsetTracker


class AnyOrder(RuleBasedStateMachine):
    """Against a model that remembers everything and works it out anew each time."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = OffsetTracker()
        self.began: int | None = None
        self.taken: list[int] = []
        self.finished: set[int] = set()
        self.closed = False
        self.reached = 0
        self.last_safe: int | None = None

    @property
    def next_offset(self) -> int:
        return max(self.reached, self.taken[-1] + 1 if self.taken else self.began or 0)

    @rule(position=st.integers(0, 50))
    def begin(self, position: int) -> None:
        self.ledger.begin(position)
        if self.began is None and not self.taken:
            self.began = position

    @rule(gap=st.integers(0, 3))
    def take_the_next(self, gap: int) -> None:
        offset = self.next_offset + gap
        assert self.ledger.take(offset) is not self.closed
        if not self.closed:
            self.taken.append(offset)

    @rule(ahead=st.integers(-3, 5))
    def hear_that_nothing_more_lies_before(self, ahead: int) -> None:
        position = self.next_offset + ahead
        self.ledger.advance(position)
        known = self.began is not None or bool(self.taken)
        if known and not self.closed and set(self.taken) == self.finished:
            self.reached = max(self.next_offset, position)

    @rule(back=st.integers(1, 20))
    def take_an_old_one(self, back: int) -> None:
        assert not self.ledger.take(self.next_offset - back)

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def finish_one(self, data: st.DataObject) -> None:
        offset = data.draw(st.sampled_from(self.taken))
        fresh = offset not in self.finished and not self.closed
        assert self.ledger.finish(offset) is fresh
        if fresh:
            self.finished.add(offset)

    @rule(offset=st.integers(-5, 300))
    def finish_what_was_never_taken(self, offset: int) -> None:
        if offset not in self.taken:
            assert not self.ledger.finish(offset)

    @rule()
    @precondition(lambda self: len(self.taken) > 5)
    def close(self) -> None:
        self.ledger.close()
        self.closed = True

    @invariant()
    def safe_lies_behind_the_contiguous_prefix(self) -> None:
        expected = self.began if self.began is not None or not self.taken else self.taken[0]
        for offset in self.taken:
            if offset not in self.finished:
                break
            expected = offset + 1
        if expected is not None:
            expected = max(expected, self.reached)
        assert self.ledger.safe == expected

    @invariant()
    def nothing_unfinished_lies_before_safe(self) -> None:
        safe = self.ledger.safe
        unfinished = [offset for offset in self.taken if offset not in self.finished]
        assert safe is None or all(offset >= safe for offset in unfinished)

    @invariant()
    def safe_never_goes_back(self) -> None:
        safe = self.ledger.safe
        if self.last_safe is not None:
            assert safe is not None
            assert safe >= self.last_safe
        self.last_safe = safe

    @invariant()
    def in_flight_is_what_is_taken_and_not_finished(self) -> None:
        expected = 0 if self.closed else len(self.taken) - len(self.finished)
        assert self.ledger.in_flight == expected


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


class Assignments(RuleBasedStateMachine):
    """A partition that goes from one assignment to the next: ledgers of the past are not told at
    once that they are past, and finish what they have when they have it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ledgers: list[OffsetTracker] = []  # one of each epoch, the last one the group's
        self.taken: list[list[int]] = []
        self.committed = 0
        self.published: set[int] = set()

    @rule(at_once=st.booleans())
    def the_partition_is_assigned(self, at_once: bool) -> None:
        if at_once and self.ledgers:
            self.ledgers[-1].close()
        ledger = OffsetTracker()
        ledger.begin(self.committed)
        self.ledgers.append(ledger)
        self.taken.append([])

    @precondition(lambda self: self.ledgers)
    @rule(data=st.data())
    def some_epoch_takes_the_next(self, data: st.DataObject) -> None:
        epoch = data.draw(st.integers(0, len(self.ledgers) - 1))
        ledger, taken = self.ledgers[epoch], self.taken[epoch]
        offset = taken[-1] + 1 if taken else ledger.safe
        assert offset is not None
        if ledger.take(offset):
            taken.append(offset)

    @precondition(lambda self: any(self.taken))
    @rule(data=st.data())
    def some_epoch_finishes_one(self, data: st.DataObject) -> None:
        epoch = data.draw(st.sampled_from([n for n, taken in enumerate(self.taken) if taken]))
        offset = data.draw(st.sampled_from(self.taken[epoch]))
        self.published.add(offset)  # the outcome may be there, whether it counts or not
        self.ledgers[epoch].finish(offset)

    @precondition(lambda self: self.ledgers)
    @rule(data=st.data())
    def some_epoch_commits(self, data: st.DataObject) -> None:
        epoch = data.draw(st.integers(0, len(self.ledgers) - 1))
        safe = self.ledgers[epoch].safe
        assert safe is not None
        if epoch == len(self.ledgers) - 1:  # the group, or the fence, refuses the others
            self.committed = safe

    @rule()
    @precondition(lambda self: len(self.ledgers) > 1)
    def all_of_the_past_hear_that_they_are_past(self) -> None:
        for ledger in self.ledgers[:-1]:
            ledger.close()
            assert ledger.in_flight == 0

    @invariant()
    def what_is_committed_was_published_without_a_gap(self) -> None:
        assert self.published >= set(range(self.committed))

    @invariant()
    def no_epoch_is_ahead_of_what_it_published(self) -> None:
        for ledger in self.ledgers:
            assert self.published >= set(range(ledger.safe or 0))


TestAssignments = Assignments.TestCase
TestAssignments.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def taken(*offsets: int) -> OffsetTracker:
    ledger = OffsetTracker()
    for offset in offsets:
        assert ledger.take(offset)
    return ledger


def test_a_new_ledger_has_nothing_to_commit() -> None:
    assert (OffsetTracker().safe, OffsetTracker().in_flight) == (None, 0)


def test_an_idle_partition_can_commit_where_it_began() -> None:
    ledger = OffsetTracker()
    ledger.begin(42)
    assert ledger.safe == 42


def test_a_record_taken_knows_better_than_a_position_told_later() -> None:
    ledger = taken(10)
    ledger.begin(12)
    assert ledger.safe == 10
    assert ledger.take(11)


def test_records_that_wait_to_be_taken_are_not_skipped_by_a_position_behind_them() -> None:
    ledger = OffsetTracker()
    ledger.begin(10)
    ledger.begin(13)
    assert ledger.safe == 10
    assert ledger.take(10)


def test_a_finished_record_behind_an_unfinished_one_is_not_safe() -> None:
    ledger = taken(5, 6, 7)
    ledger.finish(7)
    ledger.finish(6)
    assert ledger.safe == 5
    ledger.finish(5)
    assert ledger.safe == 8


def test_offsets_may_have_gaps() -> None:
    ledger = taken(5, 9)
    ledger.finish(5)
    assert ledger.safe == 6
    ledger.finish(9)
    assert ledger.safe == 10


def test_a_record_is_taken_once() -> None:
    ledger = taken(5, 6)
    assert not ledger.take(5)
    assert not ledger.take(6)
    ledger.finish(5)
    assert not ledger.take(5)
    assert ledger.in_flight == 1


def test_a_record_is_finished_once() -> None:
    ledger = taken(5)
    assert ledger.finish(5)
    assert not ledger.finish(5)


def test_a_lost_partition_finishes_nothing_and_takes_nothing() -> None:
    ledger = taken(5, 6)
    ledger.finish(5)
    ledger.close()
    assert not ledger.finish(6)
    assert not ledger.take(7)
    assert (ledger.safe, ledger.in_flight) == (6, 0)


def test_a_late_completion_counts_for_no_other_assignment() -> None:
    lost, again = taken(5, 6), taken(5, 6)
    lost.close()
    assert not lost.finish(5)
    assert (again.safe, again.in_flight) == (5, 2)
