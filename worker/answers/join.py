"""Joins the answers of two sides: pairs of answers to one question, and what is on one side only.

Holds the shorter side's answers in memory (about 0.5 KB each) and streams the other, of which it
keeps the keys (about 0.2 KB each) to recognise duplicates.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from enum import StrEnum

from schemas.answer import ModelInfo
from schemas.sample import in_sample
from worker.answers.answer import (
    ComparedAnswer,
    ComparisonError,
    NotAnAnswerError,
    RejectionError,
    parse_answer,
)
from worker.answers.sources import AnswerSource
from worker.kafka.topic_reader import OnProgress


class JoinKey(StrEnum):
    """What two answers to one question have in common."""

    SOURCE = "source"
    """The question's topic, partition and offset."""
    ID = "id"


Key = tuple[str, int, int] | str


@dataclass(slots=True)
class Side:
    """Counts of one side."""

    name: str
    answers: int = 0
    """In the sample; duplicates are not counted."""
    duplicates: int = 0
    """Further answers to the same question: the first one counts, as for a consumer that recognises
    duplicates. At-least-once delivery may publish an answer twice."""
    out_of_sample: int = 0
    rejected: int = 0
    """Rejections among the lines of `qa-worker read`."""
    not_answers: int = 0
    """Records or lines that are not answer events."""
    first_problem: str = ""
    only: int = 0
    """Answers to questions that the other side has not answered."""
    models: Counter[ModelInfo] = field(default_factory=Counter)
    """Answers by model, duplicates included."""


OnPair = Callable[[ComparedAnswer, ComparedAnswer], None]
"""Called with the left and the right answer of a pair."""


@dataclass(slots=True)
class Join:
    """What was read of both sides."""

    left: Side
    right: Side
    pairs: int = 0
    different_ids: int = 0
    """Answers with the same source and different ids: no pairs."""
    is_complete: bool = True
    """Whether both sides were read to their ends, so that `Side.only` is known."""


async def join_answers(
    left: AnswerSource,
    right: AnswerSource,
    on_pair: OnPair,
    *,
    key: JoinKey = JoinKey.SOURCE,
    sample: float = 1.0,
    limit: int | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> Join:
    """Call `on_pair` for each pair, in the order of the longer side. Stops after `limit` pairs.

    `sample` leaves out answers as `QA_SAMPLE` leaves out questions. Raises `ComparisonError`,
    and what the sources raise.
    """
    join = Join(Side(left.name), Side(right.name))
    sides = (left, join.left), (right, join.right)
    is_left_held = left.size <= right.size
    (held_source, held_side), (read_source, read_side) = sides if is_left_held else sides[::-1]
    key_of = _key_of(key)
    held: dict[Key, ComparedAnswer] = {}
    async with aclosing(_answers(held_source, held_side, sample, on_progress)) as answers:
        async for answer in answers:
            if held.setdefault(key_of(held_side, answer), answer) is not answer:
                held_side.duplicates += 1
    held_side.answers = len(held)
    seen: set[Key] = set()
    async with aclosing(_answers(read_source, read_side, sample, on_progress)) as answers:
        async for answer in answers:
            its_key = key_of(read_side, answer)
            if its_key in seen:
                read_side.duplicates += 1
                continue
            seen.add(its_key)
            other = held.pop(its_key, None)
            if other is None:
                read_side.only += 1
            elif other.id != answer.id:
                join.different_ids += 1
            else:
                join.pairs += 1
                if is_left_held:
                    on_pair(other, answer)
                else:
                    on_pair(answer, other)
                if join.pairs == limit:
                    join.is_complete = False
                    break
    read_side.answers = len(seen)
    held_side.only = len(held)
    return join


def _key_of(key: JoinKey) -> Callable[[Side, ComparedAnswer], Key]:
    def by_source(side: Side, answer: ComparedAnswer) -> Key:
        if answer.source is None:
            raise ComparisonError(
                f"{side.name}: the answer {answer.id!r} has no source, as those that `qa-worker "
                f"read` writes; join by the questions' ids: --by id"
            )
        return answer.source

    def by_id(_: Side, answer: ComparedAnswer) -> Key:
        return answer.id

    return by_source if key is JoinKey.SOURCE else by_id


async def _answers(
    source: AnswerSource, side: Side, sample: float, on_progress: OnProgress
) -> AsyncGenerator[ComparedAnswer, None]:
    """The answers in the sample, duplicates included."""
    async with aclosing(source.read(on_progress)) as raw_answers:
        async for raw in raw_answers:
            try:
                if raw.problem:
                    raise NotAnAnswerError(raw.problem)
                answer, model = parse_answer(raw.value, raw.timestamp_ms, raw.asked_at)
            except RejectionError:
                side.rejected += 1
            except NotAnAnswerError as error:
                side.not_answers += 1
                side.first_problem = side.first_problem or f"{raw.where}: {error}"
            except ComparisonError as error:
                raise ComparisonError(f"{side.name} {raw.where}: {error}") from None
            else:
                if not in_sample(answer.id, sample):
                    side.out_of_sample += 1
                    continue
                side.models[model] += 1
                yield answer
