"""What a round did to its questions: nothing lost, nothing twice, order kept, all committed. Pure.

Takes what was sent and what lies on the brokers, gives findings. What counts as a fault depends
on the delivery: at least once may repeat, and may show a reader what was never committed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from tests.faults.evidence import Evidence, Outcome, Place
from tests.faults.questions import Question, question


@dataclass(frozen=True, slots=True)
class Report:
    """Counts first, then findings: what each list names should not be."""

    delivery: str
    questions: int
    answered: int
    dead_letters: int
    repeated: int
    """Outcomes beyond the first of their question, as a reader of committed records sees them."""
    aborted: int
    """Records that only a reader of uncommitted ones sees."""

    lost: list[str]
    """Questions without an outcome."""
    duplicated: list[str]
    """Questions with several; in at least once that is `repeated` and no finding."""
    wrong: list[str]
    """Outcomes that are not the known ones, or of no question."""
    disordered: list[str]
    """Outcomes that overtook a question before theirs, within one partition."""
    uncommitted: list[str]
    """Partitions whose group offset is not their end: lag."""
    open_transactions: list[str]
    hung: list[str]
    """Workers that neither worked nor left when they were to."""
    mislaid: list[str]
    """Questions that the brokers acknowledged and do not have: the cluster's fault, and the run
    shows nothing."""

    @property
    def findings(self) -> dict[str, list[str]]:
        """By kind, those that there are."""
        lists = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: found for name, found in lists.items() if isinstance(found, list) and found}


def check(
    evidence: Evidence,
    acknowledged: Mapping[Place, int],
    *,
    delivery: str,
    hung: Sequence[str] = (),
) -> Report:
    """`acknowledged` is what the brokers told the driver; `hung` is for others to know."""
    seen = evidence.committed
    outcomes = [*seen.answers, *seen.dead_letters]
    times = Counter(outcome.place for outcome in outcomes)
    several = [_name(evidence, place) for place, count in times.items() if count > 1]
    read_uncommitted = [*evidence.uncommitted.answers, *evidence.uncommitted.dead_letters]
    return Report(
        delivery=delivery,
        questions=len(evidence.questions),
        answered=len(seen.answers),
        dead_letters=len(seen.dead_letters),
        repeated=len(outcomes) - len(times),
        aborted=len(read_uncommitted) - len(outcomes),
        lost=[_name(evidence, place) for place in evidence.questions if place not in times],
        duplicated=several if delivery == "exactly_once" else [],
        wrong=[
            *_wrong_answers(evidence, seen.answers),
            *_wrong_reasons(evidence, seen.dead_letters),
        ],
        disordered=_overtaken(evidence, delivery),
        uncommitted=[
            f"partition {partition}: committed {evidence.group_offsets.get(partition)} of {end}"
            for partition, end in evidence.end_offsets.items()
            # Nothing need be committed where nothing is.
            if (evidence.group_offsets.get(partition) or 0) != end
        ],
        open_transactions=list(evidence.open_transactions),
        hung=list(hung),
        mislaid=[
            f"question {number} at {place}"
            for place, number in acknowledged.items()
            if evidence.questions.get(place) != number
        ],
    )


def _name(evidence: Evidence, place: Place) -> str:
    partition, offset = place
    return f"question {evidence.questions.get(place)} at partition {partition} offset {offset}"


def _wrong_answers(evidence: Evidence, answers: Iterable[Outcome]) -> list[str]:
    known = _known(evidence)
    return [
        f"{_name(evidence, answer.place)}: answer {answer.said!r}"
        for answer in answers
        if answer.place not in known or answer.said != known[answer.place].answer
    ]


def _wrong_reasons(evidence: Evidence, letters: Iterable[Outcome]) -> list[str]:
    known = _known(evidence)
    return [
        f"{_name(evidence, letter.place)}: dead letter, {letter.said}"
        for letter in letters
        if letter.place not in known or letter.said not in known[letter.place].reasons
    ]


def _known(evidence: Evidence) -> dict[Place, Question]:
    return {place: question(number) for place, number in evidence.questions.items()}


def _overtaken(evidence: Evidence, delivery: str) -> list[str]:
    """Within each partition, those of one input partition come in its order, at their first time.

    A repetition goes back to where it begins, and from there in order, too: so whoever comes for
    the first time has none after it there already, repeated or not. But with at least once a
    question that may end either way may fail to be the one, with its successors published, and
    then become the other; so that one counts only where nothing is published in vain.
    """
    either = {
        place
        for place, asked in _known(evidence).items()
        if delivery == "at_least_once" and asked.is_good and asked.reasons
    }
    seen = evidence.committed
    return [
        f"{kind} {late}"
        for kind, outcomes in (("answer", seen.answers), ("dead letter", seen.dead_letters))
        for late in _late(outcome for outcome in outcomes if outcome.place not in either)
    ]


def _late(outcomes: Iterable[Outcome]) -> Iterator[str]:
    furthest: dict[tuple[int, int], int] = defaultdict(lambda: -1)
    come: set[Place] = set()
    for outcome in outcomes:
        if outcome.place in come:
            continue
        come.add(outcome.place)
        partition, offset = outcome.place
        lane = (outcome.partition, partition)
        if offset < furthest[lane]:
            yield (
                f"to partition {partition} offset {offset} came after that to {furthest[lane]} "
                f"in partition {outcome.partition}"
            )
        furthest[lane] = max(furthest[lane], offset)
