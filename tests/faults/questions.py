"""The numbered questions of a run, and the expected outcome of each. Pure.

The number determines whether the record is valid, and its answer. Some questions are invalid, some
have so much metadata that a topic with a small limit does not accept their answers, and some repeat
the texts of an earlier one, whose answer the worker may know or wait for.
"""

import json
import random
from dataclasses import dataclass

from schemas.rejection import Reason

POISONED = 1_000_000_000
"""From this number on, a header of the record has a name that is not UTF-8."""

TEXT = b" lives here."
"""In the context of every valid question."""

_SHARES = {"bad": 0.06, "large": 0.03}

_REPEATS = 0.3
"""Share of the valid questions that repeat the texts of an earlier one, with ids of their own."""

_REPEATED_WITHIN = 100
"""How many questions before it at most: some are in flight, others were answered."""

LARGE_BYTES = 20_000
"""Metadata of a large question, which its answer repeats."""

SMALL_LIMIT = 8_000
"""`max.message.bytes` that accepts all answers except large ones."""

OVERSIZED_BYTES = 2_000
"""Value, or key, of some invalid records."""

SMALL_DEAD_LETTER_LIMIT = 900
"""`max.message.bytes` that accepts a dead letter without such a value or key, and a pointer."""

_LARGE_KEYS = 0.2
"""Share of the invalid records."""

_KEYS = 40
"""Enough for answers of each input partition to reach all output partitions."""


@dataclass(frozen=True, slots=True)
class Question:
    """A record for the questions topic, and its possible outcomes."""

    key: bytes
    value: bytes | None
    answer: str | None
    """The expected answer, as `answer_with_id`; `None` if the record must be rejected."""
    reasons: frozenset[str]
    """Reasons with which it may become a dead letter."""

    @property
    def is_valid(self) -> bool:
        return self.answer is not None


def question(number: int) -> Question:
    if number >= POISONED:
        return Question(b"poisoned", b"{}", None, frozenset({Reason.UNDECODABLE.value}))
    chance, share = _kind(number)
    key = f"key-{chance.randrange(_KEYS)}".encode()
    if share < _SHARES["bad"]:
        value, reason = _bad(number, chance)
        if chance.random() < _LARGE_KEYS:
            key = key.ljust(OVERSIZED_BYTES)
        return Question(key, value, None, frozenset({reason}))
    is_large = share < _SHARES["bad"] + _SHARES["large"]
    word = f"Person{asked_first(number)}"
    event = {
        "id": f"q-{number}",
        "question": "Who lives here?",
        "context": f"{word} lives here.",
        "metadata": {"padding": "x" * LARGE_BYTES} if is_large else {},
    }
    reasons = {Reason.ANSWER_TOO_LARGE.value} if is_large else set()
    answer = answer_with_id(f"q-{number}", word)
    return Question(key, json.dumps(event).encode(), answer, frozenset(reasons))


def answer_with_id(id_: str, answer: str) -> str:
    """What an answer to one question is compared by: its id and its text."""
    return f"{id_}: {answer}"


def _kind(number: int) -> tuple[random.Random, float]:
    """A source of chance for the question, and its place among the `_SHARES`."""
    chance = random.Random(number)  # the same in every call and every run
    return chance, chance.random()


def asked_first(number: int) -> int:
    """The first valid question with the texts of the valid question `number`."""
    chance = random.Random(f"repeats {number}")
    earlier = number - chance.randint(1, _REPEATED_WITHIN)
    repeats = chance.random() < _REPEATS and earlier >= 0 and _kind(earlier)[1] >= _SHARES["bad"]
    return asked_first(earlier) if repeats else number


def _bad(number: int, chance: random.Random) -> tuple[bytes | None, str]:
    return chance.choice(
        [
            (b"{", Reason.NOT_JSON.value),
            (b"{".ljust(OVERSIZED_BYTES), Reason.NOT_JSON.value),
            (json.dumps({"id": f"q-{number}"}).encode(), Reason.SCHEMA.value),
            (None, Reason.NULL_VALUE.value),
        ]
    )
