"""The numbered questions of a run, and the expected outcome of each. Pure.

The number determines whether the record is valid, and its answer. Some questions are invalid, and
some have so much metadata that a topic with a small limit does not accept their answers.
"""

import json
import random
from dataclasses import dataclass

from schemas.rejection import Reason

_SHARES = {"bad": 0.06, "large": 0.03}

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
    """The expected answer; `None` if the record must be rejected."""
    reasons: frozenset[str]
    """Reasons with which it may become a dead letter."""

    @property
    def is_valid(self) -> bool:
        return self.answer is not None


def question(number: int) -> Question:
    chance = random.Random(number)  # the same in every call and every run
    key = f"key-{chance.randrange(_KEYS)}".encode()
    share = chance.random()
    if share < _SHARES["bad"]:
        value, reason = _bad(number, chance)
        if chance.random() < _LARGE_KEYS:
            key = key.ljust(OVERSIZED_BYTES)
        return Question(key, value, None, frozenset({reason}))
    is_large = share < _SHARES["bad"] + _SHARES["large"]
    word = f"Person{number}"
    event = {
        "id": f"q-{number}",
        "question": "Who lives here?",
        "context": f"{word} lives here.",
        "metadata": {"padding": "x" * LARGE_BYTES} if is_large else {},
    }
    reasons = {Reason.ANSWER_TOO_LARGE.value} if is_large else set()
    return Question(key, json.dumps(event).encode(), word, frozenset(reasons))


def _bad(number: int, chance: random.Random) -> tuple[bytes | None, str]:
    return chance.choice(
        [
            (b"{", Reason.NOT_JSON.value),
            (b"{".ljust(OVERSIZED_BYTES), Reason.NOT_JSON.value),
            (json.dumps({"id": f"q-{number}"}).encode(), Reason.SCHEMA.value),
            (None, Reason.NULL_VALUE.value),
        ]
    )
