"""Pairs of answers to one question, and what is on one side only."""

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.sample import in_sample
from tests.answers.events import FLOAT, answer_event
from worker.answers.answer import ComparedAnswer, ComparisonError
from worker.answers.join import Join, JoinKey, join_answers
from worker.answers.sources import RawAnswer
from worker.kafka.topic_reader import OnProgress


@dataclass(frozen=True)
class Lines:
    """Values in memory."""

    name: str
    values: Sequence[bytes | None]

    @property
    def size(self) -> int:
        return len(self.values)

    async def read(self, on_progress: OnProgress) -> AsyncGenerator[RawAnswer, None]:
        for number, value in enumerate(self.values):
            on_progress(self.name, number, self.size)
            yield RawAnswer(value, number, f"line {number}")


def side(name: str, events: Sequence[dict[str, Any]]) -> Lines:
    return Lines(name, [json.dumps(each).encode() for each in events])


async def joined(
    left: Lines, right: Lines, **options: Any
) -> tuple[Join, list[tuple[ComparedAnswer, ComparedAnswer]]]:
    pairs: list[tuple[ComparedAnswer, ComparedAnswer]] = []
    join = await join_answers(
        left, right, lambda left, right: pairs.append((left, right)), **options
    )
    return join, pairs


NUMBERS = st.lists(st.integers(0, 15), max_size=30)


@given(NUMBERS, NUMBERS)
async def test_any_two_sides_are_joined_as_sets(left: list[int], right: list[int]) -> None:
    join, pairs = await joined(
        side("l", [answer_event(n, "left") for n in left]),
        side("r", [answer_event(n, "right", model=FLOAT) for n in right]),
    )
    assert {one.id for one, _ in pairs} == {f"q-{n}" for n in set(left) & set(right)}
    assert all((one.answer, other.answer) == ("left", "right") for one, other in pairs)
    assert all(one.source == other.source for one, other in pairs)
    assert join.pairs == len(pairs)
    for counts, own, others in ((join.left, left, right), (join.right, right, left)):
        assert counts.answers == len(set(own))
        assert counts.duplicates == len(own) - len(set(own))
        assert counts.only == len(set(own) - set(others))
        assert sum(counts.models.values()) == len(own)


@pytest.mark.parametrize("longer", [0, 5])
async def test_the_first_of_duplicates_counts_on_either_side(longer: int) -> None:
    # With more answers the right side is streamed; with none it is held.
    left = side("l", [answer_event(1, "a"), answer_event(1, "b"), answer_event(1, "c")])
    right = side("r", [answer_event(1, "d"), answer_event(1, "e")] + [answer_event(9)] * longer)
    _, ((one, other),) = await joined(left, right)
    assert (one.answer, other.answer) == ("a", "d")


async def test_a_sample_leaves_out_both_sides() -> None:
    left, right = range(60), range(20, 80)
    join, pairs = await joined(
        side("l", [answer_event(n) for n in left]),
        side("r", [answer_event(n) for n in right]),
        sample=0.3,
    )
    inside = [n for n in range(20, 60) if in_sample(f"q-{n}", 0.3)]
    assert {one.id for one, _ in pairs} == {f"q-{n}" for n in inside}
    assert join.left.answers + join.left.out_of_sample == 60


async def test_answers_with_other_ids_at_one_source_are_no_pair() -> None:
    other = {**answer_event(1), "id": "another"}
    join, pairs = await joined(side("l", [answer_event(1), answer_event(2)]), side("r", [other]))
    assert (pairs, join.different_ids, join.left.only, join.right.only) == ([], 1, 1, 0)


async def test_answers_without_a_source_are_joined_by_id() -> None:
    left = side("l", [answer_event(n, source=None) for n in (1, 2)])
    right = side("r", [answer_event(n) for n in (2, 3)])
    with pytest.raises(ComparisonError, match=r"l: the answer 'q-1' has no source.*--by id"):
        await joined(left, right)
    _, pairs = await joined(left, right, key=JoinKey.ID)
    assert [one.id for one, _ in pairs] == ["q-2"]


async def test_a_limit_ends_the_comparison() -> None:
    events = [answer_event(n) for n in range(9)]
    join, pairs = await joined(side("l", events), side("r", events), limit=4)
    assert (len(pairs), join.is_complete) == (4, False)


async def test_what_is_no_answer_is_counted_with_the_first_place() -> None:
    rejected = b'{"id": "q", "line": 3, "rejected": {}}'
    values = [b"{", None, rejected, json.dumps(answer_event(1)).encode()]
    join, pairs = await joined(Lines("l", values), side("r", [answer_event(1)]))
    assert len(pairs) == 1
    assert (join.left.not_answers, join.left.rejected, join.left.answers) == (2, 1, 1)
    assert join.left.first_problem.startswith("line 0: not JSON")


async def test_an_embedding_is_refused_with_its_place() -> None:
    embeddings = Lines("r", [b'{"id": "t", "embedding": [0.1]}'])
    with pytest.raises(ComparisonError, match="r line 0: these are embeddings"):
        await joined(side("l", [answer_event(1)]), embeddings)
