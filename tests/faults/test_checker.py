"""That every kind of fault is found, in made-up evidence of a round that was well but for it."""

from dataclasses import replace

import pytest

from tests.faults.checker import Report, check
from tests.faults.evidence import Evidence, Outcome, Outcomes
from tests.faults.questions import LARGE_BYTES, question

BOTH = pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])

# Two partitions, with offset as they come; all answers go to one partition, all letters to another.
PLACES = {(number % 2, number // 2): number for number in range(60)}


def outcome(place: tuple[int, int]) -> Outcome:
    """The known one."""
    asked = question(PLACES[place])
    said = asked.answer or next(iter(asked.reasons))
    return Outcome(place, 3 if asked.is_good else 4, said)


ANSWERS = [outcome(place) for place, number in PLACES.items() if question(number).is_good]
LETTERS = [outcome(place) for place, number in PLACES.items() if not question(number).is_good]
WELL = Evidence(
    questions=PLACES,
    committed=Outcomes(ANSWERS, LETTERS),
    uncommitted=Outcomes(ANSWERS, LETTERS),
    group_offsets={0: 30, 1: 30},
    end_offsets={0: 30, 1: 30},
    open_transactions=[],
)


def checked(evidence: Evidence, delivery: str = "exactly_once") -> Report:
    return check(evidence, PLACES, delivery=delivery)


def seen(answers: list[Outcome], letters: list[Outcome] = LETTERS) -> Evidence:
    outcomes = Outcomes(answers, letters)
    return replace(WELL, committed=outcomes, uncommitted=outcomes)


def found(evidence: Evidence, delivery: str = "exactly_once") -> set[str]:
    return set(checked(evidence, delivery).findings)


@BOTH
def test_where_all_is_well_nothing_is_found(delivery: str) -> None:
    report = checked(WELL, delivery)
    assert report.findings == {}
    assert (report.questions, report.answered) == (60, len(ANSWERS))
    assert report.dead_letters == len(LETTERS) > 0


@BOTH
def test_a_question_without_an_outcome_is_lost(delivery: str) -> None:
    assert found(seen(ANSWERS[:5] + ANSWERS[6:]), delivery) == {"lost"}
    assert found(seen(ANSWERS, LETTERS[1:]), delivery) == {"lost"}


def test_a_second_answer_is_a_duplicate_in_exactly_once_and_a_figure_in_at_least_once() -> None:
    twice = seen([*ANSWERS, ANSWERS[-1]])
    assert found(twice) == {"duplicated"}
    assert found(twice, "at_least_once") == set()
    assert checked(twice).repeated == checked(twice, "at_least_once").repeated == 1


def test_what_was_aborted_is_no_duplicate() -> None:
    more = Outcomes([*ANSWERS, ANSWERS[-1]], LETTERS)
    report = checked(replace(WELL, uncommitted=more))
    assert report.findings == {}
    assert report.aborted == 1


@BOTH
def test_an_answer_that_is_not_the_known_one_is_wrong(delivery: str) -> None:
    changed = [replace(ANSWERS[0], said="Nobody"), *ANSWERS[1:]]
    assert found(seen(changed), delivery) == {"wrong"}


@BOTH
def test_an_answer_to_a_bad_record_is_wrong_and_so_is_another_reason(delivery: str) -> None:
    answered = replace(LETTERS[0], partition=3)
    assert found(seen([*ANSWERS, answered], LETTERS[1:]), delivery) >= {"wrong"}
    other = [replace(LETTERS[0], said="model_failed"), *LETTERS[1:]]
    assert found(seen(ANSWERS, other), delivery) == {"wrong"}


@BOTH
def test_an_outcome_of_no_question_is_wrong(delivery: str) -> None:
    assert found(seen([*ANSWERS, Outcome((0, 99), 3, "Person99")]), delivery) == {"wrong"}


@BOTH
def test_a_large_question_may_end_as_either(delivery: str) -> None:
    large = next(n for n in range(1000) if len(question(n).value or b"") > LARGE_BYTES)
    for said, kind in ((f"Person{large}", 0), ("answer_too_large", 1)):
        lists = [[Outcome((0, 0), 0, said)], []]
        outcomes = Outcomes(lists[kind], lists[1 - kind])
        evidence = Evidence({(0, 0): large}, outcomes, outcomes, {0: 1}, {0: 1}, [])
        assert check(evidence, {(0, 0): large}, delivery=delivery).findings == {}


@BOTH
def test_an_answer_that_overtook_its_neighbour_is_out_of_order(delivery: str) -> None:
    one, two = [answer for answer in ANSWERS if answer.place[0] == 0][:2]
    rest = [answer for answer in ANSWERS if answer not in (one, two)]
    assert found(seen([two, one, *rest]), delivery) == {"disordered"}


@BOTH
def test_neighbours_of_other_partitions_may_overtake(delivery: str) -> None:
    even = [answer for answer in ANSWERS if answer.place[0] == 0]
    odd = [answer for answer in ANSWERS if answer.place[0] == 1]
    assert found(seen(odd + even), delivery) == set()
    elsewhere = [replace(answer, partition=5) for answer in even[:3]]
    assert found(seen(even[3:] + elsewhere + odd), delivery) == set()


def test_a_large_question_that_changed_its_end_may_be_late_only_in_at_least_once() -> None:
    large = next(n for n in range(1000) if len(question(n).value or b"") > LARGE_BYTES)
    bad = next(n for n in range(1000) if not question(n).is_good)
    places = {(0, 0): large, (0, 1): bad}
    letters = [
        Outcome((0, 1), 0, next(iter(question(bad).reasons))),
        Outcome((0, 0), 0, "answer_too_large"),
    ]
    outcomes = Outcomes([], letters)
    evidence = Evidence(places, outcomes, outcomes, {0: 2}, {0: 2}, [])
    assert check(evidence, places, delivery="at_least_once").findings == {}
    assert set(check(evidence, places, delivery="exactly_once").findings) == {"disordered"}


def test_a_run_that_goes_back_and_repeats_is_in_order() -> None:
    again = seen([*ANSWERS[:20], *ANSWERS[10:]])
    assert found(again, "at_least_once") == set()
    assert checked(again, "at_least_once").repeated == 10


def test_a_question_first_answered_after_a_repetition_passed_it_is_out_of_order() -> None:
    even = [answer for answer in ANSWERS if answer.place[0] == 0]
    odd = [answer for answer in ANSWERS if answer.place[0] == 1]
    skipped = [*even[:5], *even[6:10], *even[2:]]
    assert found(seen(skipped + odd), "at_least_once") == {"disordered"}


@BOTH
def test_an_offset_short_of_the_end_is_lag(delivery: str) -> None:
    assert found(replace(WELL, group_offsets={0: 30, 1: 29}), delivery) == {"uncommitted"}
    assert found(replace(WELL, group_offsets={0: 30, 1: None}), delivery) == {"uncommitted"}


def test_an_offset_behind_the_end_is_found_too() -> None:
    assert found(replace(WELL, group_offsets={0: 30, 1: 31})) == {"uncommitted"}


def test_an_empty_partition_needs_no_offset() -> None:
    ends = {**WELL.end_offsets, 2: 0}
    assert found(replace(WELL, end_offsets=ends)) == set()


def test_open_transactions_and_hung_workers_are_passed_on() -> None:
    evidence = replace(WELL, open_transactions=["answers-0"])
    report = check(evidence, PLACES, delivery="exactly_once", hung=["slot 1"])
    assert report.findings == {"open_transactions": ["answers-0"], "hung": ["slot 1"]}


def test_an_acknowledged_question_that_is_not_there_is_the_clusters_fault() -> None:
    report = check(WELL, {**PLACES, (1, 30): 61}, delivery="exactly_once")
    assert set(report.findings) == {"mislaid"}


def test_a_question_whose_acknowledgement_was_not_seen_counts_like_any_other() -> None:
    report = check(WELL, {}, delivery="exactly_once")
    assert report.findings == {}
    assert report.questions == 60
