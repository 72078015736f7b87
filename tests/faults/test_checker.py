"""The checker finds each kind of broken guarantee in evidence that is otherwise correct."""

from dataclasses import replace

import pytest

from tests.faults.checker import Report, check
from tests.faults.evidence import Evidence, Outcome, Outcomes
from tests.faults.questions import LARGE_BYTES, question

BOTH = pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])

# Two input partitions. All answers are in one output partition, all dead letters in another.
POSITIONS = {(number % 2, number // 2): number for number in range(60)}


def outcome(position: tuple[int, int]) -> Outcome:
    """The expected outcome."""
    expected = question(POSITIONS[position])
    result = expected.answer or next(iter(expected.reasons))
    return Outcome(position, 3 if expected.is_valid else 4, result)


ANSWERS = [outcome(each) for each, number in POSITIONS.items() if question(number).is_valid]
DEAD_LETTERS = [
    outcome(position) for position, number in POSITIONS.items() if not question(number).is_valid
]
CORRECT = Evidence(
    questions=POSITIONS,
    committed=Outcomes(ANSWERS, DEAD_LETTERS),
    uncommitted=Outcomes(ANSWERS, DEAD_LETTERS),
    group_offsets={0: 30, 1: 30},
    end_offsets={0: 30, 1: 30},
    open_transactions=[],
)


def checked(evidence: Evidence, delivery: str = "exactly_once") -> Report:
    return check(evidence, POSITIONS, delivery=delivery)


def seen(answers: list[Outcome], dead_letters: list[Outcome] = DEAD_LETTERS) -> Evidence:
    outcomes = Outcomes(answers, dead_letters)
    return replace(CORRECT, committed=outcomes, uncommitted=outcomes)


def found(evidence: Evidence, delivery: str = "exactly_once") -> set[str]:
    return set(checked(evidence, delivery).findings)


@BOTH
def test_correct_evidence_has_no_findings(delivery: str) -> None:
    report = checked(CORRECT, delivery)
    assert report.findings == {}
    assert (report.questions, report.answered) == (60, len(ANSWERS))
    assert report.dead_letters == len(DEAD_LETTERS) > 0


@BOTH
def test_question_without_outcome_is_lost(delivery: str) -> None:
    assert found(seen(ANSWERS[:5] + ANSWERS[6:]), delivery) == {"lost"}
    assert found(seen(ANSWERS, DEAD_LETTERS[1:]), delivery) == {"lost"}


@BOTH
def test_deleted_question_without_outcome_is_not_lost(delivery: str) -> None:
    evidence = replace(seen(ANSWERS[1:]), unread=frozenset({ANSWERS[0].position}))
    report = checked(evidence, delivery)
    assert (report.findings, report.expired) == ({}, 1)


def test_second_answer_is_a_finding_only_in_exactly_once() -> None:
    twice = seen([*ANSWERS, ANSWERS[-1]])
    assert found(twice) == {"duplicated"}
    assert found(twice, "at_least_once") == set()
    assert checked(twice).repeated == checked(twice, "at_least_once").repeated == 1


def test_aborted_record_is_not_a_duplicate() -> None:
    more = Outcomes([*ANSWERS, ANSWERS[-1]], DEAD_LETTERS)
    report = checked(replace(CORRECT, uncommitted=more))
    assert report.findings == {}
    assert report.aborted == 1


@BOTH
def test_unexpected_answer_is_wrong(delivery: str) -> None:
    changed = [replace(ANSWERS[0], result="another answer"), *ANSWERS[1:]]
    assert found(seen(changed), delivery) == {"wrong"}


@BOTH
def test_answer_to_invalid_record_or_other_reason_is_wrong(delivery: str) -> None:
    answered = replace(DEAD_LETTERS[0], partition=3)
    assert found(seen([*ANSWERS, answered], DEAD_LETTERS[1:]), delivery) >= {"wrong"}
    other = [replace(DEAD_LETTERS[0], result="model_failed"), *DEAD_LETTERS[1:]]
    assert found(seen(ANSWERS, other), delivery) == {"wrong"}


@BOTH
def test_outcome_without_question_is_wrong(delivery: str) -> None:
    assert found(seen([*ANSWERS, Outcome((0, 99), 3, "Person99")]), delivery) == {"wrong"}


@BOTH
def test_large_question_may_be_answered_or_rejected(delivery: str) -> None:
    large = next(n for n in range(1000) if len(question(n).value or b"") > LARGE_BYTES)
    for result, kind in ((f"Person{large}", 0), ("answer_too_large", 1)):
        lists = [[Outcome((0, 0), 0, result)], []]
        outcomes = Outcomes(lists[kind], lists[1 - kind])
        evidence = Evidence({(0, 0): large}, outcomes, outcomes, {0: 1}, {0: 1}, [])
        assert check(evidence, {(0, 0): large}, delivery=delivery).findings == {}


@BOTH
def test_answer_that_overtook_an_earlier_one_is_disordered(delivery: str) -> None:
    one, two = [answer for answer in ANSWERS if answer.position[0] == 0][:2]
    rest = [answer for answer in ANSWERS if answer not in (one, two)]
    assert found(seen([two, one, *rest]), delivery) == {"disordered"}


@BOTH
def test_answers_of_other_partitions_may_overtake(delivery: str) -> None:
    even = [answer for answer in ANSWERS if answer.position[0] == 0]
    odd = [answer for answer in ANSWERS if answer.position[0] == 1]
    assert found(seen(odd + even), delivery) == set()
    elsewhere = [replace(answer, partition=5) for answer in even[:3]]
    assert found(seen(even[3:] + elsewhere + odd), delivery) == set()


def test_large_question_may_be_late_only_in_at_least_once() -> None:
    large = next(n for n in range(1000) if len(question(n).value or b"") > LARGE_BYTES)
    bad = next(n for n in range(1000) if not question(n).is_valid)
    positions = {(0, 0): large, (0, 1): bad}
    dead_letters = [
        Outcome((0, 1), 0, next(iter(question(bad).reasons))),
        Outcome((0, 0), 0, "answer_too_large"),
    ]
    outcomes = Outcomes([], dead_letters)
    evidence = Evidence(positions, outcomes, outcomes, {0: 2}, {0: 2}, [])
    assert check(evidence, positions, delivery="at_least_once").findings == {}
    assert set(check(evidence, positions, delivery="exactly_once").findings) == {"disordered"}


def test_repetition_from_an_earlier_offset_is_in_order() -> None:
    again = seen([*ANSWERS[:20], *ANSWERS[10:]])
    assert found(again, "at_least_once") == set()
    assert checked(again, "at_least_once").repeated == 10


def test_first_answer_after_later_ones_is_disordered() -> None:
    even = [answer for answer in ANSWERS if answer.position[0] == 0]
    odd = [answer for answer in ANSWERS if answer.position[0] == 1]
    skipped = [*even[:5], *even[6:10], *even[2:]]
    assert found(seen(skipped + odd), "at_least_once") == {"disordered"}


@BOTH
def test_committed_offset_before_the_end_is_lag(delivery: str) -> None:
    assert found(replace(CORRECT, group_offsets={0: 30, 1: 29}), delivery) == {"uncommitted"}
    assert found(replace(CORRECT, group_offsets={0: 30, 1: None}), delivery) == {"uncommitted"}


def test_committed_offset_beyond_the_end_is_a_finding() -> None:
    assert found(replace(CORRECT, group_offsets={0: 30, 1: 31})) == {"uncommitted"}


def test_empty_partition_needs_no_committed_offset() -> None:
    ends = {**CORRECT.end_offsets, 2: 0}
    assert found(replace(CORRECT, end_offsets=ends)) == set()


def test_open_transactions_and_hung_workers_are_findings() -> None:
    evidence = replace(CORRECT, open_transactions=["answers-0"])
    report = check(evidence, POSITIONS, delivery="exactly_once", hung=["slot 1"])
    assert report.findings == {"open_transactions": ["answers-0"], "hung": ["slot 1"]}


def test_acknowledged_question_lost_by_brokers_is_mislaid() -> None:
    report = check(CORRECT, {**POSITIONS, (1, 30): 61}, delivery="exactly_once")
    assert set(report.findings) == {"mislaid"}


def test_unacknowledged_question_on_the_topic_counts() -> None:
    report = check(CORRECT, {}, delivery="exactly_once")
    assert report.findings == {}
    assert report.questions == 60
