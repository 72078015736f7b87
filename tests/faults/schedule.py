"""The faults of a seed: kind, time, target and duration. Pure."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.faults.cluster import NODES
from tests.faults.failpoints import POINTS

STEADY_SLOTS = 3
"""Slots whose workers run all the time. One more slot is for a worker that joins and leaves."""

GUEST_SLOT = STEADY_SLOTS


class Kind(StrEnum):
    """Values are the labels of the table."""

    KILL = "worker: SIGKILL"
    KILL_AT = "worker: SIGKILL at"
    PAUSE = "worker: SIGSTOP, SIGCONT"
    PAUSE_AT = "worker: SIGSTOP, SIGCONT at a failpoint"
    JOIN = "worker: joins and leaves"
    LEAVE = "worker: leaves and returns"
    UNOPENABLE = "worker: session breaks, cannot be reopened"
    CUT = "network: connections reset"
    BLACK_HOLE = "network: black hole"
    HALF_CLOSE = "network: half-closed"
    SLOW = "network: slow"
    BROKER_KILL = "broker: SIGKILL"
    GROUP_COORDINATOR = "broker: SIGKILL of the group coordinator"
    TRANSACTION_COORDINATOR = "broker: SIGKILL of a transaction coordinator"
    BROKER_PAUSE = "broker: SIGSTOP, SIGCONT"
    ROLLING_RESTART = "broker: rolling restart"
    DISK_FULL = "broker: disk full"
    SMALL_LIMIT = "topic: max.message.bytes too small"
    SMALL_DEAD_LETTERS = "topic: dead letters too large"
    DELETE_RECORDS = "topic: records of a partition deleted"
    QUOTA = "quota: producer_byte_rate of the workers"
    POISON_HEADER = "record: header name not UTF-8"
    CORRUPT_BATCH = "record: batch corrupt in transit"


# Relative frequency, and range of the duration in seconds. A session times out after 1.5 s, a
# request after 6 s: most pauses exceed the first, some black holes the second.
_KINDS: dict[Kind, tuple[int, tuple[float, float]]] = {
    Kind.KILL: (3, (0, 0)),
    Kind.KILL_AT: (1, (0, 0)),  # each point
    Kind.PAUSE_AT: (4, (2, 5)),  # any point
    Kind.PAUSE: (3, (0.5, 5)),
    Kind.JOIN: (2, (0, 3)),
    Kind.LEAVE: (2, (0, 0)),
    Kind.UNOPENABLE: (2, (0, 0)),
    Kind.CUT: (2, (0.2, 6)),
    Kind.BLACK_HOLE: (2, (0.5, 8)),
    Kind.HALF_CLOSE: (2, (0, 0)),
    Kind.SLOW: (2, (2, 6)),
    Kind.BROKER_KILL: (1, (0, 4)),
    Kind.GROUP_COORDINATOR: (2, (0, 4)),
    Kind.TRANSACTION_COORDINATOR: (2, (0, 4)),
    Kind.BROKER_PAUSE: (1, (0.5, 4)),
    Kind.ROLLING_RESTART: (1, (0, 0)),
    Kind.DISK_FULL: (1, (0, 2)),
    Kind.SMALL_LIMIT: (1, (2, 5)),
    Kind.SMALL_DEAD_LETTERS: (1, (3, 8)),
    Kind.DELETE_RECORDS: (1, (0, 0)),
    Kind.QUOTA: (1, (3, 8)),
    Kind.POISON_HEADER: (1, (0, 0)),
    Kind.CORRUPT_BATCH: (1, (0, 0)),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Its kind determines which of the fields it uses."""

    number: int
    kind: Kind
    pause: float
    """Seconds after the start of the previous fault."""
    seconds: float
    """Duration."""
    slot: int
    node: int
    point: str
    """Failpoint of `KILL_AT` and `PAUSE_AT`, otherwise empty."""
    chance: float
    """In [0, 1), for other random choices."""

    @property
    def label(self) -> str:
        return f"{self.kind} {self.point}" if self.kind is Kind.KILL_AT else self.kind


def schedule(
    seed: int, count: int, *, delivery: str, mean_pause: float, without: Sequence[Kind] = ()
) -> list[Fault]:
    """`count` faults. All kinds except `without` appear, at their relative frequencies, before any
    repeats.
    """
    chance = random.Random(seed)
    decks = _decks(chance, delivery, without)
    points = list(POINTS[delivery])
    return [_fault(number, *next(decks), points, mean_pause, chance) for number in range(count)]


def static_slots(seed: int, round_number: int) -> frozenset[int]:
    """Slots whose workers are static members of the group in this round; half of them on average.

    Their restarts take less and more than the session timeout.
    """
    chance = random.Random(f"static members {seed} {round_number}")
    return frozenset(slot for slot in range(GUEST_SLOT + 1) if chance.random() < 0.5)


def _decks(
    chance: random.Random, delivery: str, without: Sequence[Kind]
) -> Iterator[tuple[Kind, str]]:
    cards: list[tuple[Kind, str]] = []
    for kind, (frequency, _) in _KINDS.items():
        points = list(POINTS[delivery]) if kind is Kind.KILL_AT else [""]
        cards += [(kind, point) for point in points if kind not in without] * frequency
    while True:
        chance.shuffle(cards)
        yield from cards


def _fault(
    number: int,
    kind: Kind,
    point: str,
    points: Sequence[str],
    mean_pause: float,
    chance: random.Random,
) -> Fault:
    _, (shortest, longest) = _KINDS[kind]
    return Fault(
        number=number,
        kind=kind,
        pause=chance.uniform(0.1, 1.9) * mean_pause,
        seconds=chance.uniform(shortest, longest),
        slot=chance.randrange(STEADY_SLOTS),
        node=chance.randrange(NODES),
        point=chance.choice(points) if kind is Kind.PAUSE_AT else point,
        chance=chance.random(),
    )
