"""Compares what was sent with what the brokers hold, and reports each broken guarantee. Pure.

Nothing may be lost, repeated, reordered or left uncommitted. At-least-once delivery may repeat, and
its consumers may see records whose offsets were never committed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from tests.faults.evidence import Evidence, Outcome, Position
from tests.faults.questions import Question, question


@dataclass(frozen=True, slots=True)
class Report:
    """Counts, then findings. Every entry of a findings list is a broken guarantee."""

    delivery: str
    questions: int
    answered: int
    dead_letters: int
    repeated: int
    """Outcomes after the first of their question, as a read_committed consumer sees them."""
    aborted: int
    """Records that only a read_uncommitted consumer sees."""
    expired: int
    """Questions without an outcome that a fault deleted before the group's offset reached them."""

    lost: list[str]
    """Questions without an outcome."""
    duplicated: list[str]
    """Questions with several outcomes. At-least-once delivery counts them in `repeated` only."""
    wrong: list[str]
    """Outcomes that differ from the known one, and outcomes without a question."""
    disordered: list[str]
    """Outcomes that overtook an earlier question of their partition."""
    uncommitted: list[str]
    """Partitions whose committed offset differs from their end."""
    open_transactions: list[str]
    hung: list[str]
    """Workers that neither worked nor exited when told to."""
    mislaid: list[str]
    """Questions that the brokers acknowledged and lost: a fault of the cluster, which makes the run
    invalid."""

    @property
    def findings(self) -> dict[str, list[str]]:
        """The findings lists that are not empty, by name."""
        lists = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: found for name, found in lists.items() if isinstance(found, list) and found}


def check(
    evidence: Evidence,
    acknowledged: Mapping[Position, int],
    *,
    delivery: str,
    hung: Sequence[str] = (),
) -> Report:
    """`acknowledged` maps the position of each acknowledged question to its number. The report
    contains `hung` unchanged.
    """
    seen = evidence.committed
    outcomes = [*seen.answers, *seen.dead_letters]
    counts = Counter(outcome.position for outcome in outcomes)
    duplicated = [_name(evidence, position) for position, count in counts.items() if count > 1]
    read_uncommitted = [*evidence.uncommitted.answers, *evidence.uncommitted.dead_letters]
    return Report(
        delivery=delivery,
        questions=len(evidence.questions),
        answered=len(seen.answers),
        dead_letters=len(seen.dead_letters),
        repeated=len(outcomes) - len(counts),
        aborted=len(read_uncommitted) - len(outcomes),
        expired=sum(position not in counts for position in evidence.unread),
        lost=[
            _name(evidence, position)
            for position in evidence.questions
            if position not in counts and position not in evidence.unread
        ],
        duplicated=duplicated if delivery == "exactly_once" else [],
        wrong=[
            *_wrong_answers(evidence, seen.answers),
            *_wrong_reasons(evidence, seen.dead_letters),
        ],
        disordered=_overtaken(evidence, delivery),
        uncommitted=[
            f"partition {partition}: committed {evidence.group_offsets.get(partition)} of {end}"
            for partition, end in evidence.end_offsets.items()
            # An empty partition needs no committed offset.
            if (evidence.group_offsets.get(partition) or 0) != end
        ],
        open_transactions=list(evidence.open_transactions),
        hung=list(hung),
        mislaid=[
            f"question {number} at {position}"
            for position, number in acknowledged.items()
            if evidence.questions.get(position) != number
        ],
    )


def _name(evidence: Evidence, position: Position) -> str:
    partition, offset = position
    return f"question {evidence.questions.get(position)} at partition {partition} offset {offset}"


def _wrong_answers(evidence: Evidence, answers: Iterable[Outcome]) -> list[str]:
    known = _known(evidence)
    return [
        f"{_name(evidence, answer.position)}: answer {answer.result!r}"
        for answer in answers
        if answer.position not in known or answer.result != known[answer.position].answer
    ]


def _wrong_reasons(evidence: Evidence, dead_letters: Iterable[Outcome]) -> list[str]:
    known = _known(evidence)
    return [
        f"{_name(evidence, dead_letter.position)}: dead letter, {dead_letter.result}"
        for dead_letter in dead_letters
        if dead_letter.position not in known
        or dead_letter.result not in known[dead_letter.position].reasons
    ]


def _known(evidence: Evidence) -> dict[Position, Question]:
    return {position: question(number) for position, number in evidence.questions.items()}


def _overtaken(evidence: Evidence, delivery: str) -> list[str]:
    """Within each output partition, the first outcomes of one input partition are in its order.

    A repetition starts at an earlier offset and continues in order, so a first outcome never comes
    after the outcome of a later question. Exception: in at-least-once mode a question that may be
    answered or rejected can fail to be published as one, while its successors are published, and
    then be published as the other. Such questions are not checked in that mode.
    """
    ambiguous = {
        position
        for position, expected in _known(evidence).items()
        if delivery == "at_least_once" and expected.is_valid and expected.reasons
    }
    seen = evidence.committed
    return [
        f"{kind} {late}"
        for kind, outcomes in (("answer", seen.answers), ("dead letter", seen.dead_letters))
        for late in _late(outcome for outcome in outcomes if outcome.position not in ambiguous)
    ]


def _late(outcomes: Iterable[Outcome]) -> Iterator[str]:
    furthest: dict[tuple[int, int], int] = defaultdict(lambda: -1)
    seen: set[Position] = set()
    for outcome in outcomes:
        if outcome.position in seen:
            continue
        seen.add(outcome.position)
        partition, offset = outcome.position
        stream = (outcome.partition, partition)
        if offset < furthest[stream]:
            yield (
                f"to partition {partition} offset {offset} came after that to {furthest[stream]} "
                f"in partition {outcome.partition}"
            )
        furthest[stream] = max(furthest[stream], offset)
