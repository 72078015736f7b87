"""OffsetTracker: in any order of completion, the position never passes an incomplete record."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.examples import shared
from worker.streaming.offset_tracker import OffsetTracker, StartOffsets


class AnyOrder(RuleBasedStateMachine):
    """Against a model that keeps everything and computes the position from scratch."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = OffsetTracker[int]()
        self.began: int | None = None
        self.added: list[int] = []
        self.completed: set[int] = set()
        self.closed = False
        self.reached = 0
        self.last_position: int | None = None

    @property
    def next_offset(self) -> int:
        return max(self.reached, self.added[-1] + 1 if self.added else self.began or 0)

    @rule(position=st.integers(0, 50))
    def begin(self, position: int) -> None:
        self.tracker.begin(position)
        if self.began is None and not self.added:
            self.began = position

    @rule(gap=st.integers(0, 3))
    def add_the_next(self, gap: int) -> None:
        offset = self.next_offset + gap
        assert self.tracker.add(offset) is not self.closed
        if not self.closed:
            self.added.append(offset)

    @rule(ahead=st.integers(-3, 5))
    def advance(self, ahead: int) -> None:
        position = self.next_offset + ahead
        self.tracker.advance(position)
        known = self.began is not None or bool(self.added)
        if known and not self.closed and set(self.added) == self.completed:
            self.reached = max(self.next_offset, position)

    @rule(back=st.integers(1, 20))
    def add_an_old_offset(self, back: int) -> None:
        assert not self.tracker.add(self.next_offset - back)

    @precondition(lambda self: self.added)
    @rule(data=st.data())
    def complete_one(self, data: st.DataObject) -> None:
        offset = data.draw(st.sampled_from(self.added))
        fresh = offset not in self.completed and not self.closed
        assert self.tracker.complete(offset, offset) is fresh
        if fresh:
            self.completed.add(offset)

    @rule(offset=st.integers(-5, 300))
    def complete_an_offset_never_added(self, offset: int) -> None:
        if offset not in self.added:
            assert not self.tracker.complete(offset, offset)

    @rule()
    @precondition(lambda self: len(self.added) > 5)
    def close(self) -> None:
        self.tracker.close()
        self.closed = True

    @invariant()
    def position_follows_the_contiguous_prefix(self) -> None:
        expected = self.began if self.began is not None or not self.added else self.added[0]
        for offset in self.added:
            if offset not in self.completed:
                break
            expected = offset + 1
        if expected is not None:
            expected = max(expected, self.reached)
        assert self.tracker.position == expected

    @invariant()
    def no_incomplete_offset_lies_before_the_position(self) -> None:
        safe = self.tracker.position
        unfinished = [offset for offset in self.added if offset not in self.completed]
        assert safe is None or all(offset >= safe for offset in unfinished)

    @invariant()
    def position_never_decreases(self) -> None:
        safe = self.tracker.position
        if self.last_position is not None:
            assert safe is not None
            assert safe >= self.last_position
        self.last_position = safe

    @invariant()
    def in_flight_is_added_minus_completed(self) -> None:
        expected = 0 if self.closed else len(self.added) - len(self.completed)
        assert self.tracker.in_flight == expected


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=shared(80), stateful_step_count=40)


class Assignments(RuleBasedStateMachine):
    """A partition that moves between assignments. Trackers of past assignments are closed late, and
    still complete what they have.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trackers: list[
            OffsetTracker[int]
        ] = []  # one for each assignment; the last one is current
        self.added: list[list[int]] = []
        self.committed = 0
        self.published: set[int] = set()

    @rule(at_once=st.booleans())
    def the_partition_is_assigned(self, at_once: bool) -> None:
        if at_once and self.trackers:
            self.trackers[-1].close()
        tracker = OffsetTracker[int]()
        tracker.begin(self.committed)
        self.trackers.append(tracker)
        self.added.append([])

    @precondition(lambda self: self.trackers)
    @rule(data=st.data())
    def some_assignment_adds_the_next(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(self.trackers) - 1))
        tracker, taken = self.trackers[number], self.added[number]
        offset = taken[-1] + 1 if taken else tracker.position
        assert offset is not None
        if tracker.add(offset):
            taken.append(offset)

    @precondition(lambda self: any(self.added))
    @rule(data=st.data())
    def some_assignment_completes_one(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from([n for n, taken in enumerate(self.added) if taken]))
        offset = data.draw(st.sampled_from(self.added[number]))
        self.published.add(offset)  # published, whether it counts or not
        self.trackers[number].complete(offset, offset)

    @precondition(lambda self: self.trackers)
    @rule(data=st.data())
    def some_assignment_commits(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(self.trackers) - 1))
        safe = self.trackers[number].position
        assert safe is not None
        if number == len(self.trackers) - 1:  # the group or the fence refuses the others
            self.committed = safe

    @rule()
    @precondition(lambda self: len(self.trackers) > 1)
    def past_assignments_are_closed(self) -> None:
        for tracker in self.trackers[:-1]:
            tracker.close()
            assert tracker.in_flight == 0

    @invariant()
    def committed_offsets_were_published_without_a_gap(self) -> None:
        assert self.published >= set(range(self.committed))

    @invariant()
    def no_position_is_ahead_of_what_was_published(self) -> None:
        for tracker in self.trackers:
            assert self.published >= set(range(tracker.position or 0))


TestAssignments = Assignments.TestCase
TestAssignments.settings = settings(max_examples=shared(80), stateful_step_count=40)


def added(*offsets: int) -> OffsetTracker[int]:
    tracker = OffsetTracker[int]()
    for offset in offsets:
        assert tracker.add(offset)
    return tracker


def test_new_tracker_has_no_position() -> None:
    assert (OffsetTracker[int]().position, OffsetTracker[int]().in_flight) == (None, 0)


def test_start_position_is_the_position_of_an_idle_partition() -> None:
    tracker = OffsetTracker[int]()
    tracker.begin(42)
    assert tracker.position == 42


def test_late_start_position_does_not_skip_an_added_record() -> None:
    tracker = added(10)
    tracker.begin(12)
    assert tracker.position == 10
    assert tracker.add(11)


def test_second_start_position_has_no_effect() -> None:
    tracker = OffsetTracker[int]()
    tracker.begin(10)
    tracker.begin(13)
    assert tracker.position == 10
    assert tracker.add(10)


def test_position_stops_at_the_first_incomplete_record() -> None:
    tracker = added(5, 6, 7)
    tracker.complete(7, 7)
    tracker.complete(6, 6)
    assert tracker.position == 5
    tracker.complete(5, 5)
    assert tracker.position == 8


def test_offsets_may_have_gaps() -> None:
    tracker = added(5, 9)
    tracker.complete(5, 5)
    assert tracker.position == 6
    tracker.complete(9, 9)
    assert tracker.position == 10


def test_offset_is_added_once() -> None:
    tracker = added(5, 6)
    assert not tracker.add(5)
    assert not tracker.add(6)
    tracker.complete(5, 5)
    assert not tracker.add(5)
    assert tracker.in_flight == 1


def test_offset_completes_once() -> None:
    tracker = added(5)
    assert tracker.complete(5, 5)
    assert not tracker.complete(5, 5)


def test_closed_tracker_adds_and_completes_nothing() -> None:
    tracker = added(5, 6)
    tracker.complete(5, 5)
    tracker.close()
    assert not tracker.complete(6, 6)
    assert not tracker.add(7)
    assert (tracker.position, tracker.in_flight) == (6, 0)


def test_late_completion_does_not_count_for_the_next_assignment() -> None:
    lost, again = added(5, 6), added(5, 6)
    lost.close()
    assert not lost.complete(5, 5)
    assert (again.position, again.in_flight) == (5, 2)


def test_committed_items_are_those_before_the_committed_offset() -> None:
    tracker = added(5, 6, 7)
    for offset in (5, 7, 6):
        tracker.complete(offset, offset)
    assert tracker.uncommitted == 3
    assert sorted(tracker.mark_committed(7)) == [5, 6]
    assert (tracker.committed, tracker.uncommitted) == (7, 1)
    assert tracker.close() == [7]


def test_commit_is_needed_when_position_and_committed_differ() -> None:
    tracker = OffsetTracker[int]()
    assert not tracker.needs_commit
    tracker.start(StartOffsets(committed=5, position=5))
    assert not tracker.needs_commit
    tracker.advance(8)
    assert tracker.needs_commit
    tracker.mark_committed(8)
    assert not tracker.needs_commit


def test_late_start_offset_does_not_undo_a_commit() -> None:
    tracker = added(5)
    tracker.complete(5, 5)
    tracker.mark_committed(6)
    tracker.start(StartOffsets(committed=None, position=7))
    assert (tracker.position, tracker.committed) == (6, 6)
